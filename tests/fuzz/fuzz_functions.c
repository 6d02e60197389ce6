/* Fuzzes the reader of ELF files and their functions, with section headers and without. */
#include "patch/functions.h"

#include <stdlib.h>
#include <string.h>

static size_t seen;

/* Every byte of what comes is looked at. */
static bool visit(const struct function *function, void *context)
{
    (void)context;
    seen += function->start + function->size;
    if (function->name != NULL)
        seen += strlen(function->name);
    return true;
}

static void walk(const struct elf_image *image)
{
    unsigned char id[ELF_BUILD_ID_SIZE];
    uint32_t crc;
    Elf64_Shdr section;
    struct elf_dynamic dynamic;
    for (unsigned i = 0; elf_image_section(image, i, &section); i++)
        seen += strlen(elf_image_section_name(image, &section));
    if (elf_image_dynamic(image, &dynamic))
        for (size_t i = 0; i < dynamic.count; i++) {
            Elf64_Dyn entry;
            elf_dynamic_at(&dynamic, i, &entry);
            seen += strlen(elf_strings_at(&dynamic.strings, entry.d_un.d_val));
        }
    for (size_t i = elf_image_build_id(image, id); i > 0; i--)
        seen += id[i - 1];
    const char *link = elf_image_debug_link(image, &crc);
    if (link != NULL)
        seen += strlen(link) + crc;
    seen += functions_has_symtab(image);
    (void)functions_by_symbol(image, visit, NULL);
    (void)functions_by_frame(image, visit, NULL);
    const unsigned char *code = elf_image_at(image, image->header.e_entry, 5);
    if (code != NULL)
        seen += code[4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image image;
    if (!elf_image_open(&image, data, size))
        return 0;
    walk(&image);
    unsigned char *copy = malloc(size);
    memcpy(copy, data, size);
    memset(copy + offsetof(Elf64_Ehdr, e_shoff), 0, sizeof image.header.e_shoff);
    if (elf_image_open(&image, copy, size))
        walk(&image);
    free(copy);
    return 0;
}
