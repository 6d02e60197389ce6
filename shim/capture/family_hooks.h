/* Family hooks: what jemalloc, tcmalloc and mimalloc offer beside the malloc family. None is
 * exported: programs look for them to see which allocator they run on. They are reached by entry
 * patching only, see allocator.c. */
#ifndef OUTLIVE_CAPTURE_FAMILY_HOOKS_H
#define OUTLIVE_CAPTURE_FAMILY_HOOKS_H

#include "event/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct family_entry {
    const char *name;
    uintptr_t hook;
    uintptr_t *real; /* where the hook finds the function behind it */
};

const struct family_entry *family_entries(size_t *count);

/* Whether these functions work on the same heap as malloc and free. If not, their blocks may have a
 * place of their own, but do not pass the quarantine, whose way out is free. */
void family_start(bool shares_heap);

/* Once the functions were taken over: which blocks may be kept from reuse at all. */
void family_stand_between(struct allocator *allocator);

#endif
