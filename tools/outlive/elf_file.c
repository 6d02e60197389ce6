/* ELF file: see elf_file.h. Called by target.c. */
#include "elf_file.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

struct view {
    const unsigned char *bytes;
    size_t size;
};

/* Copies a structure out, or fails where the file ends first. */
static bool take(struct view view, uint64_t offset, void *into, size_t length)
{
    if (offset > view.size || length > view.size - offset)
        return false;
    memcpy(into, view.bytes + offset, length);
    return true;
}

/* A NUL-terminated string inside the file, or NULL. */
static const char *string_at(struct view view, uint64_t offset)
{
    if (offset >= view.size ||
        memchr(view.bytes + offset, '\0', view.size - (size_t)offset) == NULL)
        return NULL;
    return (const char *)view.bytes + offset;
}

static bool offset_of_address(struct view view, const Elf64_Ehdr *header, uint64_t address,
                              uint64_t *offset)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        if (!take(view, header->e_phoff + (uint64_t)i * sizeof segment, &segment, sizeof segment))
            return false;
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz) {
            *offset = segment.p_offset + (address - segment.p_vaddr);
            return true;
        }
    }
    return false;
}

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

static bool needs_sanitizer(struct view view, const Elf64_Ehdr *header, const Elf64_Phdr *dynamic)
{
    uint64_t strings = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic->p_filesz;
             at += sizeof(Elf64_Dyn)) {
            Elf64_Dyn entry;
            if (!take(view, dynamic->p_offset + at, &entry, sizeof entry) || entry.d_tag == DT_NULL)
                break;
            if (pass == 0 && entry.d_tag == DT_STRTAB &&
                !offset_of_address(view, header, entry.d_un.d_ptr, &strings))
                return false;
            if (pass == 1 && entry.d_tag == DT_NEEDED) {
                const char *name = string_at(view, strings + entry.d_un.d_val);
                if (name != NULL && is_sanitizer_library(name))
                    return true;
            }
        }
    return false;
}

static bool is_sanitizer_symbol(const char *name)
{
    return strcmp(name, "__asan_init") == 0 || strcmp(name, "__tsan_init") == 0 ||
           strcmp(name, "__msan_init") == 0 || strcmp(name, "__hwasan_init") == 0;
}

/* clang links its sanitizers statically: the symbol tables tell. */
static bool defines_sanitizer(struct view view, const Elf64_Ehdr *header)
{
    for (unsigned i = 0; i < header->e_shnum; i++) {
        Elf64_Shdr table, strings;
        if (header->e_shentsize != sizeof table ||
            !take(view, header->e_shoff + (uint64_t)i * sizeof table, &table, sizeof table))
            return false;
        if ((table.sh_type != SHT_SYMTAB && table.sh_type != SHT_DYNSYM) ||
            !take(view, header->e_shoff + (uint64_t)table.sh_link * sizeof strings, &strings,
                  sizeof strings))
            continue;
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            if (!take(view, table.sh_offset + at, &symbol, sizeof symbol))
                break;
            if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC)
                continue;
            const char *name = string_at(view, strings.sh_offset + symbol.st_name);
            if (name != NULL && is_sanitizer_symbol(name))
                return true;
        }
    }
    return false;
}

enum elf_refusal elf_inspect(const unsigned char *bytes, size_t size)
{
    struct view view = {bytes, size};
    Elf64_Ehdr header;
    Elf64_Phdr segment, dynamic = {0};
    const char *interpreter = NULL;
    if (size < EI_NIDENT || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return ELF_NOT_ELF;
    if (bytes[EI_CLASS] == ELFCLASS32)
        return ELF_32_BIT;
    if (!take(view, 0, &header, sizeof header) || bytes[EI_CLASS] != ELFCLASS64 ||
        bytes[EI_DATA] != ELFDATA2LSB)
        return ELF_BROKEN;
    if (header.e_machine != EM_X86_64)
        return ELF_OTHER_MACHINE;
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return ELF_NOT_EXECUTABLE;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (header.e_phentsize != sizeof segment ||
            !take(view, header.e_phoff + (uint64_t)i * sizeof segment, &segment, sizeof segment))
            return ELF_BROKEN;
        if (segment.p_type == PT_INTERP) {
            interpreter = string_at(view, segment.p_offset);
            if (interpreter == NULL)
                return ELF_BROKEN;
        }
        if (segment.p_type == PT_DYNAMIC)
            dynamic = segment;
    }
    if (interpreter == NULL)
        return ELF_STATIC;
    if (strstr(interpreter, "ld-musl") != NULL)
        return ELF_MUSL;
    if (needs_sanitizer(view, &header, &dynamic) || defines_sanitizer(view, &header))
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
