/* New hooks: what start.c must tell them. */
#ifndef OUTLIVE_CAPTURE_NEW_HOOKS_H
#define OUTLIVE_CAPTURE_NEW_HOOKS_H

#include "event/event.h"

enum new_policy {
    NEW_IS_MALLOC,   /* a standard library's, or an allocator's: malloc will do */
    NEW_IS_PROGRAMS, /* the program's own: called through, but for objects with their own place */
    NEW_IS_LIBRARYS, /* a library's own: called through; the malloc inside them is what is seen */
};

/* Whose the operators behind the hooks are. Once, at start, before the events: blocks that the
 * program's operators do not have from malloc pass the quarantine all the same, and `allocator` is
 * told how these are given back. */
void new_hooks_start(enum new_policy policy, struct allocator *allocator);

#endif
