/* ELF file: see elf_file.h. Called by target.c and by scan. */
#include "elf_file.h"

#include <string.h>

static bool is_sanitizer_library(const char *name)
{
    static const char *const libraries[] = {
        "libasan.so",       "libtsan.so",       "libubsan.so",       "liblsan.so",
        "libhwasan.so",     "libclang_rt.asan", "libclang_rt.tsan",  "libclang_rt.ubsan",
        "libclang_rt.lsan", "libclang_rt.msan", "libclang_rt.hwasan"};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (strncmp(name, libraries[i], strlen(libraries[i])) == 0)
            return true;
    return false;
}

static bool needs_sanitizer(const struct elf_image *image)
{
    struct elf_dynamic dynamic;
    if (!elf_image_dynamic(image, &dynamic))
        return false;
    for (size_t i = 0; i < dynamic.count; i++) {
        Elf64_Dyn entry;
        elf_dynamic_at(&dynamic, i, &entry);
        if (entry.d_tag == DT_NEEDED &&
            is_sanitizer_library(elf_strings_at(&dynamic.strings, entry.d_un.d_val)))
            return true;
    }
    return false;
}

static bool is_sanitizer_symbol(const char *name)
{
    return strcmp(name, "__asan_init") == 0 || strcmp(name, "__tsan_init") == 0 ||
           strcmp(name, "__msan_init") == 0 || strcmp(name, "__hwasan_init") == 0;
}

/* clang links its sanitizers statically: the symbol tables tell. */
static bool has_sanitizer_symbol(const struct elf_image *image, unsigned type)
{
    struct elf_symbols symbols;
    if (!elf_image_symbols(image, type, &symbols))
        return false;
    for (size_t i = 0; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(&symbols, i, &symbol);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && is_sanitizer_symbol(name))
            return true;
    }
    return false;
}

bool elf_has_sanitizer(const struct elf_image *image)
{
    return needs_sanitizer(image) || has_sanitizer_symbol(image, SHT_SYMTAB) ||
           has_sanitizer_symbol(image, SHT_DYNSYM);
}

enum elf_refusal elf_inspect_header(const unsigned char *bytes, size_t size)
{
    Elf64_Ehdr header;
    if (size < EI_NIDENT || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return ELF_NOT_ELF;
    if (bytes[EI_CLASS] == ELFCLASS32)
        return ELF_32_BIT;
    if (size < sizeof header || bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB)
        return ELF_BROKEN;
    memcpy(&header, bytes, sizeof header);
    if (header.e_machine != EM_X86_64)
        return ELF_OTHER_MACHINE;
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return ELF_NOT_EXECUTABLE;
    return ELF_FINE;
}

const char *elf_interpreter(const struct elf_image *image)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == PT_INTERP) {
            const unsigned char *path = elf_image_bytes(image, segment.p_offset, segment.p_filesz);
            return path == NULL || memchr(path, '\0', segment.p_filesz) == NULL
                       ? NULL
                       : (const char *)path;
        }
    return "";
}

enum elf_refusal elf_inspect(const unsigned char *bytes, size_t size)
{
    struct elf_image image;
    enum elf_refusal refusal = elf_inspect_header(bytes, size);
    if (refusal != ELF_FINE)
        return refusal;
    if (!elf_image_open(&image, bytes, size))
        return ELF_BROKEN;
    const char *interpreter = elf_interpreter(&image);
    if (interpreter == NULL)
        return ELF_BROKEN;
    if (*interpreter == '\0')
        return ELF_STATIC;
    if (strstr(interpreter, "ld-musl") != NULL)
        return ELF_MUSL;
    if (elf_has_sanitizer(&image))
        return ELF_SANITIZER;
    return ELF_FINE;
}

const char *elf_refusal_text(enum elf_refusal refusal)
{
    switch (refusal) {
    case ELF_NOT_ELF:
        return "is not an ELF program; name the program itself";
    case ELF_BROKEN:
        return "is a damaged ELF file";
    case ELF_32_BIT:
        return "is a 32-bit program; Outlive watches 64-bit x86 only: build it for x86-64";
    case ELF_OTHER_MACHINE:
        return "is for another processor; Outlive watches x86-64 only";
    case ELF_NOT_EXECUTABLE:
        return "is an object file, not a program; link it first";
    case ELF_STATIC:
        return "is statically linked, so no library can be preloaded; link it dynamically";
    case ELF_MUSL:
        return "is linked against musl; Outlive watches glibc programs only";
    case ELF_SANITIZER:
        return "is built with a sanitizer, which takes the same functions; build it without";
    default:
        return "";
    }
}
