/* ELF image: a checked view of an ELF file's bytes, which may be hostile. Pure functions without
 * allocation, async-signal-safe; shared by the shim and by `outlive scan`. Addresses are the file's
 * own (link-time) ones; add the load bias for those of a process. Formats: System V gABI chapters 4
 * and 5, x86-64 psABI. */
#ifndef OUTLIVE_PATCH_ELF_IMAGE_H
#define OUTLIVE_PATCH_ELF_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings that all end inside the file. */
struct elf_strings {
    const char *start;
    size_t size;
};

struct elf_image {
    const unsigned char *bytes;
    size_t size;
    Elf64_Ehdr header;
    unsigned sections;        /* 0: no section headers */
    struct elf_strings names; /* of the sections */
};

struct elf_symbols {
    const unsigned char *entries;
    size_t count;
    struct elf_strings strings;
};

struct elf_dynamic {
    const unsigned char *entries;
    size_t count; /* DT_NULL not counted */
    struct elf_strings strings;
};

#define ELF_BUILD_ID_SIZE 32

/* False: not a 64-bit little-endian x86-64 ELF file with all of its program headers. The bytes must
 * outlive the image. */
bool elf_image_open(struct elf_image *image, const unsigned char *bytes, size_t size);

/* The file's bytes of [offset, offset + length), or NULL where it ends first. */
const unsigned char *elf_image_bytes(const struct elf_image *image, uint64_t offset,
                                     uint64_t length);
bool elf_image_segment(const struct elf_image *image, unsigned number, Elf64_Phdr *segment);
/* number 0 to e_shnum - 1 (or what section 0 says); false past the last. */
bool elf_image_section(const struct elf_image *image, unsigned number, Elf64_Shdr *section);
/* "" where there is none. Never NULL. */
const char *elf_image_section_name(const struct elf_image *image, const Elf64_Shdr *section);
bool elf_image_section_named(const struct elf_image *image, const char *name, Elf64_Shdr *section);

/* The file's bytes of [address, address + length), or NULL where a segment does not hold them all.
 */
const unsigned char *elf_image_at(const struct elf_image *image, uint64_t address, size_t length);

/* "" past the end. Never NULL. */
const char *elf_strings_at(const struct elf_strings *strings, uint64_t offset);

/* The table of type SHT_SYMTAB or SHT_DYNSYM (a file has one of each at the most; without section
 * headers the second is found as the loader finds it). False: none. */
bool elf_image_symbols(const struct elf_image *image, unsigned type, struct elf_symbols *symbols);
/* Copies symbol number 0 to count - 1 and returns its name. */
const char *elf_symbols_at(const struct elf_symbols *symbols, size_t number, Elf64_Sym *symbol);

/* False: the file has no dynamic section. */
bool elf_image_dynamic(const struct elf_image *image, struct elf_dynamic *dynamic);
/* Copies entry number 0 to count - 1. */
void elf_dynamic_at(const struct elf_dynamic *dynamic, size_t number, Elf64_Dyn *entry);
/* The first entry with this tag. */
bool elf_dynamic_value(const struct elf_dynamic *dynamic, int64_t tag, uint64_t *value);

/* Length of the build-id copied to `id`; 0 where there is none. */
size_t elf_image_build_id(const struct elf_image *image, unsigned char id[ELF_BUILD_ID_SIZE]);
/* The same of notes alone, which may be NULL. */
size_t elf_build_id_in(const unsigned char *notes, uint64_t size,
                       unsigned char id[ELF_BUILD_ID_SIZE]);
/* The name in .gnu_debuglink and its CRC, or NULL. */
const char *elf_image_debug_link(const struct elf_image *image, uint32_t *crc);

#endif
