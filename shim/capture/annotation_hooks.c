/* Annotation hooks: see annotation_hooks.h. */
#include "capture/annotation_hooks.h"

#include "event/annotation.h"

#include <outlive.h>

#include <elf.h>
#include <link.h>

static void born(const void *address, size_t size, const char *name)
{
    if (address != NULL && size > 0)
        event_annotated_born(address, size, name, CALLER_HERE());
}

static void died(const void *address)
{
    if (address != NULL)
        event_annotated_died(address, CALLER_HERE());
}

static void touched(const void *address)
{
    if (address != NULL)
        event_annotated_touched(address, CALLER_HERE());
}

static void shutdown_begins(const char *name)
{
    event_annotated_shutdown(name);
}

static void thread_needs(const void *address)
{
    if (address != NULL)
        event_annotated_need(address, CALLER_HERE());
}

static void handed_over(const void *address)
{
    if (address != NULL)
        event_annotated_handed_over(address);
}

static void ignore_begin(void)
{
    event_annotated_ignore(true);
}

static void ignore_end(void)
{
    event_annotated_ignore(false);
}

static const struct outlive_calls calls = {
    born, died, touched, shutdown_begins, thread_needs, handed_over, ignore_begin, ignore_end,
};

/* What the module has there is mapped, with that right. */
static bool is_mapped(const struct dl_phdr_info *module, uintptr_t address, size_t size,
                      ElfW(Word) right)
{
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        uintptr_t first = module->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && (segment->p_flags & right) != 0 && address >= first &&
            address - first <= segment->p_memsz && size <= segment->p_memsz - (address - first))
            return true;
    }
    return false;
}

static void fill(const struct dl_phdr_info *module, const unsigned char *description)
{
    int64_t distance;
    __builtin_memcpy(&distance, description, sizeof distance);
    uintptr_t address = (uintptr_t)description + (uintptr_t)distance;
    if (address % sizeof(void *) != 0 || !is_mapped(module, address, sizeof(void *), PF_W) ||
        *(const struct outlive_calls *const *)address != NULL || !event_annotation_start())
        return;
    __atomic_store_n((const struct outlive_calls **)address, &calls, __ATOMIC_RELEASE);
}

/* Found by its first bytes: linkers put notes that are aligned to 4 and to 8 bytes into one
 * segment, where no rule tells the place of the next one. */
static void look_at_notes(const struct dl_phdr_info *module, const ElfW(Phdr) * segment)
{
    static const struct {
        ElfW(Nhdr) header;
        char name[sizeof OUTLIVE_NOTE_NAME];
    } wanted = {{sizeof OUTLIVE_NOTE_NAME, sizeof(int64_t), OUTLIVE_NOTE_CALLS}, OUTLIVE_NOTE_NAME};
    const unsigned char *notes = (const unsigned char *)(module->dlpi_addr + segment->p_vaddr);
    if (!is_mapped(module, (uintptr_t)notes, segment->p_memsz, PF_R))
        return; /* in the file only */
    for (size_t at = 0; at + sizeof wanted + sizeof(int64_t) <= segment->p_memsz; at += 4)
        if (__builtin_memcmp(notes + at, &wanted, sizeof wanted) == 0)
            fill(module, notes + at + sizeof wanted);
}

static int look_at_module(struct dl_phdr_info *module, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (unsigned i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_NOTE)
            look_at_notes(module, &module->dlpi_phdr[i]);
    return 0;
}

void annotation_hooks_look(void)
{
    (void)dl_iterate_phdr(look_at_module, NULL);
}
