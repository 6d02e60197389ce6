/* Modules: see modules.h. */
#include "report/modules.h"

#include "base/output.h"
#include "base/probe.h"
#include "base/system.h"
#include "base/text.h"
#include "registry/library.h"

#include <elf.h>
#include <fcntl.h>

static struct module modules[MODULES];
static size_t module_count;
static char paths[64 * 1024];
static size_t paths_used;

static bool parse_hex(const char **at, const char *end, uint64_t *number)
{
    const char *first = *at;
    *number = 0;
    for (; *at < end; (*at)++) {
        char c = **at;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit == 16)
            break;
        *number = *number << 4 | digit;
    }
    return *at > first && *at - first <= 16;
}

bool modules_parse_line(const char *line, size_t length, uintptr_t *start, uintptr_t *end,
                        bool *readable, uint64_t *offset, const char **path, size_t *path_length)
{
    const char *at = line, *last = line + length;
    if (!parse_hex(&at, last, start) || at == last || *at++ != '-' || !parse_hex(&at, last, end) ||
        *end <= *start || last - at < 7 || *at++ != ' ')
        return false;
    *readable = at[0] == 'r';
    at += 4;
    if (*at++ != ' ' || !parse_hex(&at, last, offset))
        return false;
    while (at < last && *at != '/')
        at++; /* device, inode and spaces */
    *path = at;
    *path_length = (size_t)(last - at);
    return at < last;
}

static void read_build_id(struct module *module, const char *notes, size_t size)
{
    while (size >= sizeof(Elf64_Nhdr)) {
        const Elf64_Nhdr *note = (const Elf64_Nhdr *)notes;
        size_t name = ((size_t)note->n_namesz + 3) & ~(size_t)3;
        size_t data = ((size_t)note->n_descsz + 3) & ~(size_t)3;
        if (name > size || data > size || sizeof *note + name + data > size)
            return;
        const char *bytes = notes + sizeof *note;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            __builtin_memcmp(bytes, "GNU", 4) == 0) {
            size_t count = note->n_descsz < 20 ? note->n_descsz : 20;
            for (size_t i = 0; i < count; i++) {
                unsigned char byte = (unsigned char)bytes[name + i];
                module->build_id[2 * i] = "0123456789abcdef"[byte >> 4];
                module->build_id[2 * i + 1] = "0123456789abcdef"[byte & 15];
            }
            return;
        }
        notes += sizeof *note + name + data;
        size -= sizeof *note + name + data;
    }
}

/* The start of a file's first mapping, which may be gone meanwhile: files are mapped for a moment
 * only where symbols are read, and libraries are unloaded. */
static const char *copy_start(const struct module *module, size_t *readable)
{
    static uint64_t copy[512];
    if (*readable > sizeof copy)
        *readable = sizeof copy;
    for (size_t i = 0; i < *readable / sizeof *copy; i++)
        if (!probe_word((const void *)(module->start + i * sizeof *copy), &copy[i]))
            *readable = 0;
    return (const char *)copy;
}

/* It holds the ELF header and, as linkers lay files out, the program headers and the build-id note.
 */
static void read_header(struct module *module, size_t readable)
{
    const char *start = copy_start(module, &readable);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)start;
    module->bias = module->start;
    if (readable < sizeof *header || __builtin_memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr) ||
        header->e_phoff > readable ||
        (uint64_t)header->e_phnum * sizeof(Elf64_Phdr) > readable - header->e_phoff)
        return;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(start + header->e_phoff);
    for (size_t i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            module->bias = module->start - segments[i].p_vaddr;
    /* Data without contents lies behind what is mapped of the file. */
    for (size_t i = 0; i < header->e_phnum; i++) {
        uintptr_t end = module->bias + segments[i].p_vaddr + segments[i].p_memsz;
        if (segments[i].p_type == PT_LOAD && end > module->end)
            module->end = end;
    }
    for (size_t i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_NOTE && segments[i].p_offset <= readable &&
            segments[i].p_filesz <= readable - segments[i].p_offset)
            read_build_id(module, start + segments[i].p_offset, segments[i].p_filesz);
}

static void add_line(const char *line, size_t length)
{
    uintptr_t start, end;
    uint64_t offset;
    bool readable;
    const char *path;
    size_t path_length;
    if (!modules_parse_line(line, length, &start, &end, &readable, &offset, &path, &path_length))
        return;
    struct module *last = module_count == 0 ? NULL : &modules[module_count - 1];
    /* Text may begin in the file's first page, too: offset 0 again. */
    if (last != NULL && (offset != 0 || start < last->end) &&
        text_length(last->path) == path_length &&
        __builtin_memcmp(last->path, path, path_length) == 0) {
        last->end = end > last->end ? end : last->end;
        return;
    }
    if (module_count == MODULES || paths_used + path_length + 1 > sizeof paths || offset != 0)
        return;
    struct module *module = &modules[module_count++];
    *module = (struct module){.start = start, .end = end, .path = paths + paths_used};
    __builtin_memcpy(paths + paths_used, path, path_length);
    paths[paths_used + path_length] = '\0';
    paths_used += path_length + 1;
    if (readable && path_length > 4 && __builtin_memcmp(path, "/dev", 4) != 0)
        read_header(module, end - start);
    else
        module->bias = start;
}

static bool overlaps(const struct library *library)
{
    for (size_t i = 0; i < module_count; i++)
        if (library->start < modules[i].end && modules[i].start < library->end)
            return true;
    return false;
}

/* Libraries that were unloaded, the latest first: stacks from before still lead there. */
static void add_unloaded(void)
{
    uint64_t before = UINT64_MAX;
    while (module_count < MODULES) {
        const struct library *library = NULL;
        for (uint32_t number = 0; number < LIBRARIES; number++) {
            const struct library *other = library_of_number(number);
            if (other != NULL && other->unload.ticks < before && !overlaps(other) &&
                (library == NULL || other->unload.ticks > library->unload.ticks))
                library = other;
        }
        if (library == NULL)
            return;
        before = library->unload.ticks;
        struct module *module = &modules[module_count++];
        *module = (struct module){.start = library->start,
                                  .end = library->end,
                                  .bias = library->bias,
                                  .path = library->path};
        for (size_t i = 0; i < library->build_id_size && 2 * i + 2 < BUILD_ID_SIZE; i++) {
            module->build_id[2 * i] = "0123456789abcdef"[library->build_id[i] >> 4];
            module->build_id[2 * i + 1] = "0123456789abcdef"[library->build_id[i] & 15];
        }
    }
}

void modules_read(void)
{
    static char buffer[8192];
    size_t held = 0;
    module_count = paths_used = 0;
    long file = system_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), got = file;
    while (file >= 0) {
        got = system_read((int)file, buffer + held, sizeof buffer - held);
        if (got <= 0)
            break;
        held += (size_t)got;
        size_t line = 0;
        for (size_t i = 0; i < held; i++)
            if (buffer[i] == '\n') {
                add_line(buffer + line, i - line);
                line = i + 1;
            }
        if (line == 0 && held == sizeof buffer)
            line = held; /* no path is that long */
        __builtin_memmove(buffer, buffer + line, held - line);
        held -= line;
    }
    if (got < 0)
        output_tell_once("cannot read /proc/self/maps: stacks have fewer names", NULL);
    if (file >= 0)
        (void)system_close((int)file);
    add_unloaded();
}

const struct module *modules_find(uintptr_t address)
{
    for (size_t i = 0; i < module_count; i++)
        if (address >= modules[i].start && address < modules[i].end)
            return &modules[i];
    return NULL;
}
