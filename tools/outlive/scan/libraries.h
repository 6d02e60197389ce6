/* Libraries: the shared libraries that a file needs, found as the loader would find them, without
 * running anything of the file (as ldd may). Called by scan.c. */
#ifndef OUTLIVE_TOOLS_SCAN_LIBRARIES_H
#define OUTLIVE_TOOLS_SCAN_LIBRARIES_H

#include "patch/elf_image.h"

struct library {
    const char *name;              /* as DT_NEEDED has it */
    const char *path;              /* NULL: not found */
    const struct elf_image *image; /* NULL: not found */
    bool direct;                   /* needed by the file itself */
};

typedef void (*library_visitor)(const struct library *library, void *context);

/* Visits each once, in the loader's symbol order: breadth first. */
void libraries_walk(const struct elf_image *image, const char *path, library_visitor visit,
                    void *context);

#endif
