/* Names: the symbols that decide what Outlive sees of a file, and where each of them is. Called by
 * scan.c for the file itself and for the libraries that it needs. */
#ifndef OUTLIVE_TOOLS_SCAN_NAMES_H
#define OUTLIVE_TOOLS_SCAN_NAMES_H

#include "patch/elf_image.h"

/* Bits: a name may belong to several. */
enum name_group {
    NAME_HOOK = 1,      /* the shim defines it: shim/capture/hooks.def */
    NAME_HEAP = 2,      /* malloc and its family */
    NAME_OPERATOR = 4,  /* operators new and delete */
    NAME_EXTENSION = 8, /* an allocator's own calls, beyond the family */
    NAME_JEMALLOC = 16, /* these tell who made the allocator */
    NAME_TCMALLOC = 32,
    NAME_MIMALLOC = 64,
    NAME_TBB = 128,
    NAME_GLIBC = 256,
    NAME_LIBSTDCXX = 512, /* the core of libstdc++ or libc++abi */
    NAME_RUNTIME = 1024   /* what registers destructors */
};

enum name_place {
    NAME_ABSENT,
    NAME_IMPORTED,
    NAME_INSIDE,  /* defined, and bound inside the file */
    NAME_EXPORTED /* defined, and found by the loader */
};

struct known_name {
    const char *name;
    unsigned groups;
    enum name_place place;
    uint64_t address; /* where it is defined */
};

#define KNOWN_NAMES 512

struct known_names {
    struct known_name rows[KNOWN_NAMES]; /* by name */
    size_t count;
};

/* Fills in the names, all of them absent. */
void names_start(struct known_names *names);
/* Notes what the symbol tables of the image say; may be called for several images of one file. */
void names_read(struct known_names *names, const struct elf_image *image);
const struct known_name *names_find(const struct known_names *names, const char *name);
/* How many names of the group are at the place; NAME_INSIDE counts the exported ones, too. */
size_t names_count(const struct known_names *names, unsigned groups, enum name_place place);
bool name_is_at(const struct known_name *name, enum name_place place);

#endif
