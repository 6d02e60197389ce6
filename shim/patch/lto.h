/* LTO: whether a file was built with link-time optimisation, which may have put copies of a
 * function into its callers: patching its entry does not see these. Pure functions over the image;
 * shared by the shim and by `outlive scan`. */
#ifndef OUTLIVE_PATCH_LTO_H
#define OUTLIVE_PATCH_LTO_H

#include "patch/elf_image.h"

/* What shows it, in words; NULL: nothing does, which is also so where the marks were stripped: they
 * stand in .symtab and in debug information. */
const char *lto_sign(const struct elf_image *image);

#endif
