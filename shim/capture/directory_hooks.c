/* Directory hooks: calls on a path from a directory, or on a descriptor itself, other than those
 * that open (opening_hooks.c). */
#include "capture/directory_look.h"
#include "capture/real.h"

/* As fstat() does, and in newer libraries by these calls: it only asks. */
static bool names_itself(const char *path)
{
    return directory_counts(path, AT_EMPTY_PATH) && !directory_counts(path, 0);
}

#define CALL_HOOK(result, name, parameters, arguments, flags, is_probe)                            \
    EXPORT result name parameters                                                                  \
    {                                                                                              \
        real_need();                                                                               \
        result done = -1;                                                                          \
        if (!directory_is_kept(directory, path, flags))                                            \
            done = real.name arguments;                                                            \
        directory_look(done == -1, directory, path, flags, #name, done == -1 && (is_probe),        \
                       CALLER_HERE());                                                             \
        return done;                                                                               \
    }

#define STATUS_HOOK(name, parameters, arguments)                                                   \
    CALL_HOOK(int, name, parameters, arguments, flags, names_itself(path))
#define DIRECTORY_HOOK(name, parameters, arguments, flags)                                         \
    CALL_HOOK(int, name, parameters, arguments, flags, false)

/* Two numbers; flags are of the first. */
#define TWO_HOOK(name, parameters, arguments, flags)                                               \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        int done = -1;                                                                             \
        if (!directory_is_kept(directory, path, flags) && !directory_is_kept(to, new_path, 0))     \
            done = real.name arguments;                                                            \
        directory_look(done == -1, directory, path, flags, #name, false, CALLER_HERE());           \
        directory_look(done == -1, to, new_path, 0, #name, false, CALLER_HERE());                  \
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
               (directory, path, user, group, flags), flags)
DIRECTORY_HOOK(fchmodat, (int directory, const char *path, mode_t mode, int flags),
               (directory, path, mode, flags), flags)
DIRECTORY_HOOK(utimensat,
               (int directory, const char *path, const struct timespec times[2], int flags),
               (directory, path, times, flags), flags)
DIRECTORY_HOOK(faccessat, (int directory, const char *path, int mode, int flags),
               (directory, path, mode, flags), flags)
DIRECTORY_HOOK(unlinkat, (int directory, const char *path, int flags), (directory, path, flags), 0)
DIRECTORY_HOOK(mkdirat, (int directory, const char *path, mode_t mode), (directory, path, mode), 0)
DIRECTORY_HOOK(mkfifoat, (int directory, const char *path, mode_t mode), (directory, path, mode), 0)
DIRECTORY_HOOK(symlinkat, (const char *target, int directory, const char *path),
               (target, directory, path), 0)
/* An empty path is the link itself, without a flag (readlink(2)). */
CALL_HOOK(ssize_t, readlinkat, (int directory, const char *path, char *target, size_t size),
          (directory, path, target, size), AT_EMPTY_PATH, false)
TWO_HOOK(linkat, (int directory, const char *path, int to, const char *new_path, int flags),
         (directory, path, to, new_path, flags), flags)
TWO_HOOK(renameat, (int directory, const char *path, int to, const char *new_path),
         (directory, path, to, new_path), 0)
TWO_HOOK(renameat2, (int directory, const char *path, int to, const char *new_path, unsigned flags),
         (directory, path, to, new_path, flags), 0)
