/* Library: see library.h. */
#include "registry/library.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"

#include <link.h>

/* Calls of dlopen, the latest overwriting the oldest: what they loaded is told by its name. */
#define OPENINGS 256
static struct opening {
    _Atomic uint64_t name; /* hash of the file's last part; 0: being filled in */
    struct library_event event;
} openings[OPENINGS];
static _Atomic uint32_t next_opening;
_Atomic bool library_any_opened;

static struct library libraries[LIBRARIES]; /* committed as they come */
static unsigned long loaded_at_start;

static uint64_t hash_name(const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *at = path; *at != '\0'; at++)
        hash = *at == '/' ? UINT64_C(0xcbf29ce484222325)
                          : (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    return hash | 1;
}

static struct library_event event_of(uint32_t stack)
{
    return (struct library_event){guard.thread == NULL ? 0 : guard.thread->reference, stack,
                                  clock_ticks()};
}

void library_opening(const char *file, struct caller caller)
{
    struct opening *opening = &openings[atomic_fetch_add(&next_opening, 1) % OPENINGS];
    atomic_store(&opening->name, 0);
    opening->event = event_of(stack_keep(caller));
    atomic_store(&opening->name, hash_name(file));
    atomic_store(&library_any_opened, true);
}

/* The earliest dlopen of that name since a library of the name was last unloaded: later ones only
 * counted. Names of links, and what a library needs itself, are not told. */
static struct library_event load_of(const struct library *library)
{
    uint64_t name = hash_name(library->path), after = 0;
    struct library_event found = {0};
    for (size_t i = 0; i < LIBRARIES; i++)
        if (atomic_load(&libraries[i].state) == LIBRARY_GONE && libraries[i].left > after &&
            text_equal(libraries[i].path, library->path))
            after = libraries[i].left;
    for (size_t i = 0; i < OPENINGS; i++) {
        struct library_event event = openings[i].event;
        if (atomic_load(&openings[i].name) == name && event.ticks > after &&
            (found.ticks == 0 || event.ticks < found.ticks))
            found = event;
    }
    return found;
}

static int count_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)info;
    (void)size;
    *(unsigned long *)context += 1;
    return 0;
}

void library_start(void)
{
    (void)dl_iterate_phdr(count_loaded, &loaded_at_start);
}

/* New libraries stand behind the old ones in the loader's list (elf/dl-object.c in glibc), and what
 * was there at the start is never unloaded. */
static bool is_late(unsigned long number, const struct dl_phdr_info *info)
{
    return number > loaded_at_start && info->dlpi_name != NULL && info->dlpi_name[0] != '\0';
}

static void extent(const struct dl_phdr_info *info, uintptr_t *start, uintptr_t *end)
{
    *start = UINTPTR_MAX;
    *end = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t first = (info->dlpi_addr + segment->p_vaddr) & ~(PAGE_SIZE - 1);
        uintptr_t last = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        if (segment->p_type != PT_LOAD)
            continue;
        *start = first < *start ? first : *start;
        *end = last > *end ? ROUND_UP(last, PAGE_SIZE) : *end;
    }
}

struct look_up {
    unsigned long number;
    uintptr_t address;
    bool found;
};

static int find_late(struct dl_phdr_info *info, size_t size, void *context)
{
    struct look_up *look_up = context;
    uintptr_t start, end;
    (void)size;
    if (!is_late(++look_up->number, info))
        return 0;
    extent(info, &start, &end);
    look_up->found = look_up->address >= start && look_up->address < end;
    return look_up->found;
}

bool library_is_late(uintptr_t address)
{
    struct look_up look_up = {.address = address};
    if (atomic_load(&library_any_opened))
        (void)dl_iterate_phdr(find_late, &look_up);
    return look_up.found;
}

/* An unused record, or the one that is gone for longest. */
static struct library *take_record(void)
{
    for (;;) {
        struct library *oldest = NULL;
        for (size_t i = 0; i < LIBRARIES; i++) {
            struct library *library = &libraries[i];
            uint32_t state = atomic_load(&library->state);
            if (state == LIBRARY_UNUSED &&
                atomic_compare_exchange_strong(&library->state, &state, LIBRARY_TAKEN))
                return library;
            if (state == LIBRARY_GONE && (oldest == NULL || library->left < oldest->left))
                oldest = library;
        }
        uint32_t gone = LIBRARY_GONE;
        if (oldest == NULL)
            return NULL;
        if (atomic_compare_exchange_strong(&oldest->state, &gone, LIBRARY_TAKEN))
            return oldest;
    }
}

static void fill(struct library *library, const struct dl_phdr_info *info)
{
    struct text path = text_in(library->path, sizeof library->path);
    if (info->dlpi_name[0] != '/') { /* as the program gave it */
        long length = system_call3(SYS_getcwd, (long)library->path, LIBRARY_PATH_SIZE, 0);
        path.length = length > 1 ? (size_t)length - 1 : 0;
        text_add_char(&path, '/');
    }
    text_add(&path, info->dlpi_name);
    extent(info, &library->start, &library->end);
    library->bias = info->dlpi_addr;
    library->build_id_size = 0;
    for (unsigned i = 0; i < info->dlpi_phnum && library->build_id_size == 0; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            library->build_id_size = elf_build_id_in(
                (const unsigned char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                info->dlpi_phdr[i].p_memsz, library->build_id);
}

struct listing {
    unsigned long number;
    struct library **list;
    size_t count, most;
};

static int list_late(struct dl_phdr_info *info, size_t size, void *context)
{
    struct listing *listing = context;
    (void)size;
    if (!is_late(++listing->number, info) || listing->count == listing->most)
        return 0;
    struct library *library = take_record();
    if (library == NULL)
        return 1;
    fill(library, info);
    listing->list[listing->count++] = library;
    return 0;
}

size_t library_leaving(struct library **list, size_t most, uint32_t stack)
{
    struct listing listing = {.list = list, .most = most};
    if (!atomic_load(&library_any_opened))
        return 0;
    struct library_event unload = event_of(stack);
    (void)dl_iterate_phdr(list_late, &listing);
    for (size_t i = 0; i < listing.count; i++) {
        list[i]->load = load_of(list[i]);
        list[i]->unload = unload;
        atomic_store(&list[i]->state, LIBRARY_LEAVING);
    }
    return listing.count;
}

/* Marks those that are still loaded as unused. */
static int release_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
    struct listing *listing = context;
    (void)size;
    if (!is_late(++listing->number, info))
        return 0;
    for (size_t i = 0; i < listing->count; i++)
        if (listing->list[i] != NULL && listing->list[i]->bias == info->dlpi_addr &&
            hash_name(info->dlpi_name) == hash_name(listing->list[i]->path)) {
            atomic_store(&listing->list[i]->state, LIBRARY_UNUSED);
            listing->list[i] = NULL;
        }
    return 0;
}

/* Another dlclose, inside this one or in another thread, was first to see it gone. */
static bool was_noticed(const struct library *library)
{
    for (size_t i = 0; i < LIBRARIES; i++)
        if (&libraries[i] != library && atomic_load(&libraries[i].state) == LIBRARY_GONE &&
            libraries[i].left > library->unload.ticks && libraries[i].bias == library->bias &&
            text_equal(libraries[i].path, library->path))
            return true;
    return false;
}

size_t library_left(struct library **list, size_t count)
{
    struct listing listing = {.list = list, .count = count};
    size_t gone = 0;
    if (count == 0)
        return 0;
    (void)dl_iterate_phdr(release_loaded, &listing);
    for (size_t i = 0; i < count; i++) {
        struct library *library = list[i];
        if (library == NULL)
            continue;
        if (was_noticed(library)) {
            atomic_store(&library->state, LIBRARY_UNUSED);
            continue;
        }
        library->left = clock_ticks();
        atomic_store(&library->state, LIBRARY_GONE);
        list[gone++] = library;
    }
    return gone;
}

void library_forget(struct library **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t leaving = LIBRARY_LEAVING;
        if (list[i] != NULL)
            (void)atomic_compare_exchange_strong(&list[i]->state, &leaving, LIBRARY_UNUSED);
    }
}

const struct library *library_of_number(uint32_t number)
{
    uint32_t state = atomic_load(&libraries[number].state);
    return state == LIBRARY_LEAVING || state == LIBRARY_GONE ? &libraries[number] : NULL;
}

const struct library *library_at(uintptr_t address)
{
    const struct library *last = NULL;
    for (uint32_t number = 0; number < LIBRARIES; number++) {
        const struct library *library = library_of_number(number);
        if (library != NULL && address >= library->start && address < library->end &&
            (last == NULL || library->unload.ticks > last->unload.ticks))
            last = library;
    }
    return last;
}
