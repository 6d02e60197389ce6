/* Module file: see module_file.h. Where separate debug files are looked for: gdb's manual,
 * "Debugging Information in Separate Files". */
#include "patch/module_file.h"

#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/mman.h>

#define DEBUG_FOLDER "/usr/lib/debug"

/* The path behind all links; what was given, where /proc is not mounted. */
static void resolve(int descriptor, const char *given, char path[MODULE_FILE_PATH])
{
    char link[40];
    struct text name = text_in(link, sizeof link);
    text_format(&name, "/proc/self/fd/%d", descriptor);
    long length =
        system_call4(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, MODULE_FILE_PATH - 1);
    if (length > 0 && path[0] == '/') {
        path[length] = '\0';
        return;
    }
    struct text copy = text_in(path, MODULE_FILE_PATH);
    text_add(&copy, given);
}

static bool map_descriptor(int descriptor, struct elf_image *image)
{
    struct stat status = {0};
    if (system_fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return false;
    size_t size = (size_t)status.st_size;
    long bytes = system_call6(SYS_mmap, 0, (long)size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes < 0 && bytes > -4096)
        return false;
    if (elf_image_open(image, (const unsigned char *)bytes, size))
        return true;
    memory_unmap((void *)bytes, size);
    return false;
}

/* path may be NULL. */
static bool map_file(const char *name, struct elf_image *image, char *path)
{
    /* O_NONBLOCK: a FIFO in the place of a debug file must not hold the program. */
    long descriptor = system_open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (descriptor < 0)
        return false;
    bool mapped = map_descriptor((int)descriptor, image);
    if (mapped && path != NULL)
        resolve((int)descriptor, name, path);
    (void)system_close((int)descriptor);
    return mapped;
}

static void unmap(struct elf_image *image)
{
    if (image->size != 0)
        memory_unmap((void *)image->bytes, image->size);
    image->size = 0;
}

bool module_file_open(struct module_file *file, const char *path)
{
    file->image.size = file->debug.size = 0;
    file->path[0] = file->debug_path[0] = '\0';
    return map_file(path, &file->image, file->path);
}

/* CRC-32 as .gnu_debuglink has it (gdb's manual; the polynomial of zlib). */
static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    uint32_t table[256], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0xedb88320 : 0);
    }
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
    return ~crc;
}

/* A file that was relinked or prelinked since has its functions elsewhere. */
static bool has_same_text(const struct elf_image *image, const struct elf_image *debug)
{
    Elf64_Shdr text, other;
    return elf_image_section_named(image, ".text", &text) &&
           elf_image_section_named(debug, ".text", &other) && text.sh_addr == other.sh_addr &&
           text.sh_size == other.sh_size;
}

/* crc NULL: the build-id decides. */
static bool belongs(const struct elf_image *image, const struct elf_image *debug,
                    const uint32_t *crc)
{
    unsigned char id[ELF_BUILD_ID_SIZE], other[ELF_BUILD_ID_SIZE];
    size_t length = elf_image_build_id(image, id);
    if (!has_same_text(image, debug))
        return false;
    if (length == 0)
        return crc != NULL && checksum(debug->bytes, debug->size) == *crc;
    if (elf_image_build_id(debug, other) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (id[i] != other[i])
            return false;
    return true;
}

static bool try_debug(struct module_file *file, const struct text *name, const uint32_t *crc)
{
    if (name->cut || !map_file(name->data, &file->debug, file->debug_path))
        return false;
    if (!text_equal(file->path, file->debug_path) && belongs(&file->image, &file->debug, crc))
        return true;
    unmap(&file->debug);
    file->debug_path[0] = '\0';
    return false;
}

static bool find_by_build_id(struct module_file *file)
{
    char buffer[MODULE_FILE_PATH];
    unsigned char id[ELF_BUILD_ID_SIZE];
    size_t length = elf_image_build_id(&file->image, id);
    struct text name = text_in(buffer, sizeof buffer);
    text_add(&name, DEBUG_FOLDER "/.build-id/");
    for (size_t i = 0; i < length; i++) {
        text_add_char(&name, "0123456789abcdef"[id[i] >> 4]);
        text_add_char(&name, "0123456789abcdef"[id[i] & 15]);
        if (i == 0)
            text_add_char(&name, '/');
    }
    text_add(&name, ".debug");
    return length > 1 && try_debug(file, &name, NULL);
}

static bool find_by_link(struct module_file *file)
{
    static const char *const before[] = {"", "", DEBUG_FOLDER}, *const behind[] = {"", ".debug/",
                                                                                   ""};
    char buffer[MODULE_FILE_PATH];
    uint32_t crc;
    const char *link = elf_image_debug_link(&file->image, &crc);
    if (link == NULL || text_find(link, "/") != NULL)
        return false;
    size_t folder = text_length(file->path);
    while (folder > 0 && file->path[folder - 1] != '/')
        folder--;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct text name = text_in(buffer, sizeof buffer);
        text_add(&name, before[i]);
        text_add_bytes(&name, file->path, folder);
        text_add(&name, behind[i]);
        text_add(&name, link);
        if (try_debug(file, &name, &crc))
            return true;
    }
    return false;
}

bool module_file_open_debug(struct module_file *file)
{
    unmap(&file->debug);
    return find_by_build_id(file) || find_by_link(file);
}

/* False also where the file has the bytes in no segment: then they are not in memory. */
static bool is_in_memory(const struct module_file *file, uintptr_t bias, uint64_t offset,
                         uint64_t length)
{
    Elf64_Phdr segment;
    const unsigned char *bytes = elf_image_bytes(&file->image, offset, length);
    for (unsigned i = 0; bytes != NULL && elf_image_segment(&file->image, i, &segment); i++)
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_R) != 0 &&
            offset >= segment.p_offset && offset - segment.p_offset <= segment.p_filesz &&
            length <= segment.p_filesz - (offset - segment.p_offset)) {
            const unsigned char *loaded =
                (const unsigned char *)(bias + segment.p_vaddr + (offset - segment.p_offset));
            for (uint64_t byte = 0; byte < length; byte++)
                if (loaded[byte] != bytes[byte])
                    return false;
            return true;
        }
    return false;
}

bool module_file_is_loaded(const struct module_file *file, uintptr_t bias)
{
    const Elf64_Ehdr *header = &file->image.header;
    Elf64_Phdr segment;
    if (!is_in_memory(file, bias, 0, sizeof *header) ||
        !is_in_memory(file, bias, header->e_phoff, header->e_phnum * sizeof segment))
        return false;
    for (unsigned i = 0; elf_image_segment(&file->image, i, &segment); i++)
        if (segment.p_type == PT_NOTE &&
            !is_in_memory(file, bias, segment.p_offset, segment.p_filesz))
            return false;
    return true;
}

bool module_file_functions(const struct module_file *file, function_visitor visit, void *context)
{
    return functions_by_symbol(&file->image, visit, context) &&
           (file->debug.size == 0 || functions_by_symbol(&file->debug, visit, context));
}

void module_file_close(struct module_file *file)
{
    unmap(&file->image);
    unmap(&file->debug);
}
