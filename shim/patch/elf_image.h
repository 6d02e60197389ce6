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

struct elf_image {
    const unsigned char *bytes;
    size_t size;
    Elf64_Ehdr header;
};

#define ELF_BUILD_ID_SIZE 32

/* False: not a whole 64-bit little-endian x86-64 ELF file. The bytes must outlive the image. */
bool elf_image_open(struct elf_image *image, const unsigned char *bytes, size_t size);

bool elf_image_segment(const struct elf_image *image, unsigned number, Elf64_Phdr *segment);
/* number 0 to e_shnum - 1 (or what section 0 says); false past the last. */
bool elf_image_section(const struct elf_image *image, unsigned number, Elf64_Shdr *section);
/* "" where there is none. Never NULL. */
const char *elf_image_section_name(const struct elf_image *image, const Elf64_Shdr *section);
bool elf_image_section_named(const struct elf_image *image, const char *name, Elf64_Shdr *section);

/* The file's bytes of [address, address + length), or NULL where a segment does not hold them all.
 */
const unsigned char *elf_image_at(const struct elf_image *image, uint64_t address, size_t length);

/* Length of the build-id copied to `id`; 0 where there is none. */
size_t elf_image_build_id(const struct elf_image *image, unsigned char id[ELF_BUILD_ID_SIZE]);
/* The name in .gnu_debuglink and its CRC, or NULL. */
const char *elf_image_debug_link(const struct elf_image *image, uint32_t *crc);

#endif
