/* Allocator: finds out who makes the program's heap blocks and takes that allocator over, whole or
 * not at all: by preload where the program's calls reach the shim, by entry patching where an
 * executable or a library before the shim defines malloc itself. Called by start.c, once, while
 * there is one thread and before anything asks `real` for the heap. */
#ifndef OUTLIVE_CAPTURE_ALLOCATOR_H
#define OUTLIVE_CAPTURE_ALLOCATOR_H

#include "capture/new_hooks.h"

#include <stdbool.h>
#include <stdint.h>

struct allocator_found {
    bool seen; /* the hooks see every block of the heap */
    enum new_policy new_policy;
};

/* may_patch: whether code may be changed at all. What is not seen has been told. */
struct allocator_found allocator_take(bool may_patch);

/* True for a return address inside one of the entries that were taken over: the allocator calls
 * itself, and relies on what it gets. */
bool allocator_is_caller(uintptr_t address);
/* The same for an operator new that has no name and was not taken over itself. */
bool allocator_is_new(uintptr_t address);

#endif
