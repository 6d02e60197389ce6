/* Descriptor use hooks: calls that do something to a descriptor, other than to pass data, and so
 * learn that it is closed. A number that the shim keeps from reuse answers as a closed one: most
 * calls fail on its stand-in by themselves, hooks answer for the others. */
#include "capture/real.h"

#include "event/descriptor.h"

#include <stdarg.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static inline void look(bool failed, int descriptor, const char *function, bool is_probe,
                        struct caller caller)
{
    if (__builtin_expect(failed, 0) && errno == EBADF)
        event_use_failed(descriptor, function, is_probe, caller);
}

#define USE_HOOK(result, name, parameters, arguments, is_probe)                                    \
    EXPORT result name parameters                                                                  \
    {                                                                                              \
        real_need();                                                                               \
        result done = real.name arguments;                                                         \
        look(done == -1, descriptor, #name, is_probe, CALLER_HERE());                              \
        return done;                                                                               \
    }

/* Those that may wait. */
#define WAIT_HOOK(name, parameters, arguments)                                                     \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct descriptor_use use = event_use_begin(descriptor, #name, CALLER_HERE());             \
        int done = real.name arguments;                                                            \
        event_use_end(&use, done < 0, true, #name, CALLER_HERE());                                 \
        return done;                                                                               \
    }

/* Those that would succeed on a stand-in. */
#define KEPT_HOOK(name, parameters, arguments, is_probe)                                           \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        int done = -1;                                                                             \
        if (event_is_kept(descriptor))                                                             \
            errno = EBADF;                                                                         \
        else                                                                                       \
            done = real.name arguments;                                                            \
        look(done == -1, descriptor, #name, is_probe, CALLER_HERE());                              \
        return done;                                                                               \
    }

USE_HOOK(int, setsockopt,
         (int descriptor, int level, int option, const void *value, socklen_t length),
         (descriptor, level, option, value, length), false)
USE_HOOK(int, getsockopt, (int descriptor, int level, int option, void *value, socklen_t *length),
         (descriptor, level, option, value, length), false)
USE_HOOK(int, getsockname, (int descriptor, struct sockaddr *address, socklen_t *length),
         (descriptor, address, length), false)
USE_HOOK(int, getpeername, (int descriptor, struct sockaddr *address, socklen_t *length),
         (descriptor, address, length), false)
USE_HOOK(int, bind, (int descriptor, const struct sockaddr *address, socklen_t length),
         (descriptor, address, length), false)
USE_HOOK(int, listen, (int descriptor, int backlog), (descriptor, backlog), false)
USE_HOOK(off_t, lseek, (int descriptor, off_t offset, int from), (descriptor, offset, from), false)
USE_HOOK(off64_t, lseek64, (int descriptor, off64_t offset, int from), (descriptor, offset, from),
         false)
USE_HOOK(int, fsync, (int descriptor), (descriptor), false)
USE_HOOK(int, fdatasync, (int descriptor), (descriptor), false)
USE_HOOK(int, ftruncate, (int descriptor, off_t length), (descriptor, length), false)
USE_HOOK(int, ftruncate64, (int descriptor, off64_t length), (descriptor, length), false)
USE_HOOK(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode), false)
WAIT_HOOK(flock, (int descriptor, int operation), (descriptor, operation))
USE_HOOK(int, timerfd_settime,
         (int descriptor, int flags, const struct itimerspec *time, struct itimerspec *before),
         (descriptor, flags, time, before), false)
USE_HOOK(int, timerfd_gettime, (int descriptor, struct itimerspec *time), (descriptor, time), false)
WAIT_HOOK(eventfd_read, (int descriptor, eventfd_t *value), (descriptor, value))
USE_HOOK(int, eventfd_write, (int descriptor, eventfd_t value), (descriptor, value), false)
USE_HOOK(int, fallocate, (int descriptor, int mode, off_t offset, off_t length),
         (descriptor, mode, offset, length), false)
USE_HOOK(int, fallocate64, (int descriptor, int mode, off64_t offset, off64_t length),
         (descriptor, mode, offset, length), false)
USE_HOOK(int, lockf, (int descriptor, int command, off_t length), (descriptor, command, length),
         false)
USE_HOOK(int, lockf64, (int descriptor, int command, off64_t length), (descriptor, command, length),
         false)
USE_HOOK(int, inotify_add_watch, (int descriptor, const char *path, uint32_t mask),
         (descriptor, path, mask), false)
USE_HOOK(int, inotify_rm_watch, (int descriptor, int watch), (descriptor, watch), false)
KEPT_HOOK(fstatfs, (int descriptor, struct statfs *status), (descriptor, status), false)
KEPT_HOOK(fstatfs64, (int descriptor, struct statfs64 *status), (descriptor, status), false)
KEPT_HOOK(fstatvfs, (int descriptor, struct statvfs *status), (descriptor, status), false)
KEPT_HOOK(fstatvfs64, (int descriptor, struct statvfs64 *status), (descriptor, status), false)
KEPT_HOOK(fchdir, (int descriptor), (descriptor), false)
KEPT_HOOK(fstat, (int descriptor, struct stat *status), (descriptor, status), true)
KEPT_HOOK(fstat64, (int descriptor, struct stat64 *status), (descriptor, status), true)
KEPT_HOOK(__fxstat, (int version, int descriptor, struct stat *status),
          (version, descriptor, status), true)
KEPT_HOOK(__fxstat64, (int version, int descriptor, struct stat64 *status),
          (version, descriptor, status), true)

EXPORT int isatty(int descriptor)
{
    real_need();
    int answer = real.isatty(descriptor);
    look(answer == 0, descriptor, "isatty", true, CALLER_HERE());
    return answer;
}

/* A thread that ends what it uses calls it just before close(): it tells no more than that. */
EXPORT int shutdown(int descriptor, int how)
{
    real_need();
    event_shut(descriptor); /* before: who waits must find it noted */
    int done = real.shutdown(descriptor, how);
    look(done == -1, descriptor, "shutdown", true, CALLER_HERE());
    return done;
}

EXPORT int connect(int descriptor, const struct sockaddr *address, socklen_t length)
{
    real_need();
    struct descriptor_use use = event_use_begin(descriptor, "connect", CALLER_HERE());
    int done = real.connect(descriptor, address, length);
    event_use_end(&use, done < 0, true, "connect", CALLER_HERE());
    return done;
}

/* Loops over all numbers set and read these flags. */
static bool only_asks(int command)
{
    return command == F_GETFD || command == F_GETFL || command == F_SETFD;
}

static bool duplicates(int command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

#define FCNTL_HOOK(name)                                                                           \
    EXPORT int name(int descriptor, int command, ...)                                              \
    {                                                                                              \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        void *argument = va_arg(list, void *);                                                     \
        va_end(list);                                                                              \
        real_need();                                                                               \
        int done = -1;                                                                             \
        if (event_is_kept(descriptor))                                                             \
            errno = EBADF;                                                                         \
        else                                                                                       \
            done = real.name(descriptor, command, argument);                                       \
        if (done == -1 && errno == EMFILE && duplicates(command) && event_descriptors_scarce())    \
            done = real.name(descriptor, command, argument);                                       \
        look(done == -1, descriptor, "fcntl", only_asks(command), CALLER_HERE());                  \
        if (done >= 0 && duplicates(command))                                                      \
            event_opened(done, "fcntl", CALLER_HERE());                                            \
        return done;                                                                               \
    }

FCNTL_HOOK(fcntl)
FCNTL_HOOK(fcntl64)

EXPORT int ioctl(int descriptor, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    real_need();
    int done = real.ioctl(descriptor, request, argument);
    look(done == -1, descriptor, "ioctl", request == FIOCLEX || request == FIONCLEX, CALLER_HERE());
    return done;
}

/* A member that was closed has left the set by itself: to take it out again is harmless. */
EXPORT int epoll_ctl(int descriptor, int operation, int member, struct epoll_event *event)
{
    real_need();
    int done = real.epoll_ctl(descriptor, operation, member, event);
    if (done == -1 && errno == EBADF) {
        event_use_failed(descriptor, "epoll_ctl", false, CALLER_HERE());
        event_use_failed(member, "epoll_ctl", operation != EPOLL_CTL_ADD, CALLER_HERE());
    }
    return done;
}

/* Two descriptors: either may be the closed one. The kernel's first argument is the one that a
 * waiting thread is found by. */
#define BETWEEN_HOOK(name, parameters, arguments, first, second)                                   \
    EXPORT ssize_t name parameters                                                                 \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct descriptor_use use = event_use_begin(first, #name, CALLER_HERE());                  \
        ssize_t done = real.name arguments;                                                        \
        event_use_end(&use, done < 0, true, #name, CALLER_HERE());                                 \
        look(done == -1, second, #name, false, CALLER_HERE());                                     \
        return done;                                                                               \
    }

BETWEEN_HOOK(sendfile, (int to, int from, off_t *offset, size_t size), (to, from, offset, size), to,
             from)
BETWEEN_HOOK(sendfile64, (int to, int from, off64_t *offset, size_t size), (to, from, offset, size),
             to, from)
BETWEEN_HOOK(splice,
             (int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
              unsigned flags),
             (from, from_offset, to, to_offset, size, flags), from, to)
BETWEEN_HOOK(tee, (int from, int to, size_t size, unsigned flags), (from, to, size, flags), from,
             to)
