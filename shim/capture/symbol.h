/* Symbol: finds the function that comes after the shim in symbol order. Unlike dlsym() it allocates
 * nothing when there is none: the first hook may run inside the program's allocator, under its
 * initialisation lock. Reads the loader's list as debuggers do, for early use, while no other
 * thread loads anything: dl_iterate_phdr() may be a sanitizer's, which cannot be called yet. */
#ifndef OUTLIVE_CAPTURE_SYMBOL_H
#define OUTLIVE_CAPTURE_SYMBOL_H

#include <stdint.h>

struct link_map;

struct symbol_request {
    const char *name;
    const char *version; /* of glibc's symbol versions, or NULL for the default one */
    void *address;       /* out: NULL if no object behind the shim defines it */
};

/* The loaded objects in symbol order, the executable first. */
const struct link_map *symbol_objects(void);

/* The definition that calls reach: the first in symbol order. dlsym() gives the address of the call
 * stub instead where an executable at a fixed address takes the function's address. */
void *symbol_find_first(const char *name);

/* The hash that DT_GNU_HASH tables use. */
uint32_t symbol_hash(const char *name);

/* Answers all requests in one walk over the loaded objects. */
void symbol_find_next(struct symbol_request *requests, unsigned count);

#endif
