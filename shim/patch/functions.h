/* Functions: the functions of an ELF file: from .symtab, else .dynsym, and where these are stripped
 * from .eh_frame, which gives starts and lengths without names. Pure functions over the image,
 * without allocation, async-signal-safe; shared by the shim and by `outlive scan`. */
#ifndef OUTLIVE_PATCH_FUNCTIONS_H
#define OUTLIVE_PATCH_FUNCTIONS_H

#include "patch/elf_image.h"

struct function {
    uint64_t start;   /* the file's own address */
    uint64_t size;    /* bytes; 0: not told */
    const char *name; /* in the image's bytes, as mangled; NULL: not told (.eh_frame) */
    bool indirect;    /* STT_GNU_IFUNC: start is the resolver's */
};

/* Ends the walk when it returns false. */
typedef bool (*function_visitor)(const struct function *function, void *context);

/* Every defined function symbol of .symtab and of .dynsym; a function with several names comes once
 * for each, and one that stands in both tables may come twice. False: a visitor ended it. */
bool functions_by_symbol(const struct elf_image *image, function_visitor visit, void *context);
/* Every function that .eh_frame describes (LSB core, "Exception Frames"; DWARF 5, 6.4.1). */
bool functions_by_frame(const struct elf_image *image, function_visitor visit, void *context);
bool functions_has_symtab(const struct elf_image *image);
/* Whether .symtab names that source file ("new_op.cc"): a part of the program was made from it. */
bool functions_has_source(const struct elf_image *image, const char *file);

#endif
