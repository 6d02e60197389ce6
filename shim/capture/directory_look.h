/* Directory look: for hooks of calls on a path from a directory's descriptor (openat(2)), or with
 * AT_EMPTY_PATH on the descriptor itself. The stand-in on a number that the shim keeps from reuse
 * is a file: these calls would act on it, or fail otherwise than on a closed number. */
#ifndef OUTLIVE_CAPTURE_DIRECTORY_LOOK_H
#define OUTLIVE_CAPTURE_DIRECTORY_LOOK_H

#include "event/descriptor.h"

#include <errno.h>
#include <fcntl.h>

/* Otherwise the kernel does not look at the number. What libc declares as never NULL a program may
 * pass all the same: the compiler must not know. */
static inline bool directory_counts(const char *path, int flags)
{
    __asm__("" : "+r"(path));
    return path == NULL || path[0] == '\0' ? (flags & AT_EMPTY_PATH) != 0 : path[0] != '/';
}

/* After the call, or in its place: tells of one that failed for the number. */
static inline void directory_look(bool failed, int directory, const char *path, int flags,
                                  const char *function, bool is_probe, struct caller caller)
{
    if (__builtin_expect(failed, 0) && errno == EBADF && directory_counts(path, flags))
        event_use_failed(directory, function, is_probe, caller);
}

/* True: leave the call out, it fails with EBADF. */
static inline bool directory_is_kept(int directory, const char *path, int flags)
{
    if (!event_is_kept(directory) || !directory_counts(path, flags))
        return false;
    errno = EBADF;
    return true;
}

#endif
