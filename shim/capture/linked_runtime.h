/* Linked runtime: the parts of a C++ library that a stripped executable has linked in, found by
 * what they do, since their names are gone. Called by allocator.c, at start. */
#ifndef OUTLIVE_CAPTURE_LINKED_RUNTIME_H
#define OUTLIVE_CAPTURE_LINKED_RUNTIME_H

#include "patch/module_file.h"

/* The file's own addresses; size 0: not found. */
struct runtime_function {
    uint64_t start, size;
};

#define RUNTIME_NEWS 4

struct linked_runtime {
    bool is_there; /* a C++ library is linked in */
    /* Functions that ask malloc or one of its aligned forms, call a handler, and throw
     * std::bad_alloc: forms of operator new. */
    struct runtime_function news[RUNTIME_NEWS];
    struct runtime_function pure_virtual; /* __cxa_pure_virtual */
};

/* malloc_start: where the executable defines malloc itself; 0: it does not. Needs patch_start(). */
void linked_runtime_find(struct linked_runtime *runtime, const struct module_file *file,
                         uintptr_t bias, uint64_t malloc_start);

#endif
