/* Directory hooks: calls on a path from a directory, or on the descriptor itself (AT_EMPTY_PATH, or
 * no path at all). Where that is closed and its number kept, the placeholder would answer. */
#include "capture/real.h"

#include "event/descriptor.h"

/* A full path needs no directory. */
static bool is_closed(int directory, const char *path, const char *function, bool is_probe,
                      struct caller caller)
{
    if (!event_is_kept(directory) || (path != NULL && path[0] == '/'))
        return false;
    errno = EBADF;
    event_use_failed(directory, function, is_probe, caller);
    return true;
}

/* As fstat() does, and in newer libraries by these calls: it only asks. */
static bool names_itself(const char *path)
{
    return path == NULL || path[0] == 0;
}

static inline void look(bool failed, int directory, const char *function, bool is_probe,
                        struct caller caller)
{
    if (__builtin_expect(failed, 0) && errno == EBADF)
        event_use_failed(directory, function, is_probe, caller);
}

#define CALL_HOOK(name, parameters, arguments, is_probe)                                           \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        if (event_is_kept(directory) &&                                                            \
            is_closed(directory, path, #name, is_probe, CALLER_HERE()))                            \
            return -1;                                                                             \
        int done = real.name arguments;                                                            \
        look(done == -1, directory, #name, done == -1 && errno == EBADF && (is_probe),             \
             CALLER_HERE());                                                                       \
        return done;                                                                               \
    }

#define DIRECTORY_HOOK(name, parameters, arguments) CALL_HOOK(name, parameters, arguments, false)
#define STATUS_HOOK(name, parameters, arguments)                                                   \
    CALL_HOOK(name, parameters, arguments, names_itself(path))

#define TWO_HOOK(name, parameters, arguments)                                                      \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        if (is_closed(directory, path, #name, false, CALLER_HERE()) ||                             \
            is_closed(to, new_path, #name, false, CALLER_HERE()))                                  \
            return -1;                                                                             \
        int done = real.name arguments;                                                            \
        look(done == -1, directory, #name, false, CALLER_HERE());                                  \
        look(done == -1, to, #name, false, CALLER_HERE());                                         \
        return done;                                                                               \
    }

STATUS_HOOK(fstatat, (int directory, const char *path, struct stat *status, int flags),
            (directory, path, status, flags))
STATUS_HOOK(fstatat64, (int directory, const char *path, struct stat64 *status, int flags),
            (directory, path, status, flags))
STATUS_HOOK(__fxstatat,
            (int version, int directory, const char *path, struct stat *status, int flags),
            (version, directory, path, status, flags))
STATUS_HOOK(__fxstatat64,
            (int version, int directory, const char *path, struct stat64 *status, int flags),
            (version, directory, path, status, flags))
STATUS_HOOK(statx,
            (int directory, const char *path, int flags, unsigned mask, struct statx *status),
            (directory, path, flags, mask, status))
DIRECTORY_HOOK(fchownat, (int directory, const char *path, uid_t user, gid_t group, int flags),
               (directory, path, user, group, flags))
DIRECTORY_HOOK(fchmodat, (int directory, const char *path, mode_t mode, int flags),
               (directory, path, mode, flags))
DIRECTORY_HOOK(utimensat,
               (int directory, const char *path, const struct timespec times[2], int flags),
               (directory, path, times, flags))
DIRECTORY_HOOK(faccessat, (int directory, const char *path, int mode, int flags),
               (directory, path, mode, flags))
DIRECTORY_HOOK(unlinkat, (int directory, const char *path, int flags), (directory, path, flags))
DIRECTORY_HOOK(mkdirat, (int directory, const char *path, mode_t mode), (directory, path, mode))
TWO_HOOK(linkat, (int directory, const char *path, int to, const char *new_path, int flags),
         (directory, path, to, new_path, flags))
TWO_HOOK(renameat, (int directory, const char *path, int to, const char *new_path),
         (directory, path, to, new_path))
