/* Pages: replaces code of this process, whole pages at a time, so that no page is ever writable and
 * executable and no thread sees half a change. Called by patch.c, one call at a time. */
#ifndef OUTLIVE_PATCH_PAGES_H
#define OUTLIVE_PATCH_PAGES_H

#include "patch/relocate.h"

struct edit {
    uintptr_t at;
    unsigned char before[JUMP_SIZE], after[JUMP_SIZE];
};

/* The edits must be sorted by address, must not overlap and must lie in code that is readable and
 * executable. False: the kernel refused, and nothing is changed. */
bool pages_edit(const struct edit *edits, size_t count);

/* Names a mapping in /proc/PID/maps, where the kernel can (Linux 5.17). */
void pages_name(void *start, size_t size);

#endif
