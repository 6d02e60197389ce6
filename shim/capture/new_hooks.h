/* New hooks: what start.c must tell them. */
#ifndef OUTLIVE_CAPTURE_NEW_HOOKS_H
#define OUTLIVE_CAPTURE_NEW_HOOKS_H

enum new_policy {
    NEW_IS_MALLOC,   /* a standard library's, or an allocator's: malloc will do */
    NEW_IS_PROGRAMS, /* the program's own: called through, but for objects with their own place */
    NEW_IS_LIBRARYS, /* a library's own: called through; the malloc inside them is what is seen */
};

/* Whose the operators behind the hooks are. Once, at start. */
void new_hooks_start(enum new_policy policy);

#endif
