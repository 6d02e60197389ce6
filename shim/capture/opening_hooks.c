/* Opening hooks: calls that make descriptors. Where none are left the numbers that the shim keeps
 * from reuse go back, and the call is made once more. accept, which also waits, is among them;
 * fcntl and recvmsg are with the calls they belong to, dup2 with what ends a descriptor. */
#include "capture/directory_look.h"
#include "capture/real.h"

#include "event/descriptor.h"

#include <stdarg.h>

static bool try_again(int result)
{
    return __builtin_expect(result < 0, 0) && errno == EMFILE && event_descriptors_scarce();
}

/* Also for a call that makes none. */
static void opened(int number, const char *path, const char *how, struct caller caller)
{
    if (number < 0)
        return;
    event_opened(number, how, caller);
    event_opened_path(number, path);
}

/* The mode is there only where a file may be made (open(2)). */
static bool has_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_OF(flags, last)                                                                       \
    mode_t mode = 0;                                                                               \
    if (has_mode(flags)) {                                                                         \
        va_list list;                                                                              \
        va_start(list, last);                                                                      \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

#define OPEN_HOOK(name)                                                                            \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        real_need();                                                                               \
        MODE_OF(flags, flags)                                                                      \
        event_opening_path(path);                                                                  \
        int number = real.name(path, flags, mode);                                                 \
        if (try_again(number))                                                                     \
            number = real.name(path, flags, mode);                                                 \
        opened(number, path, "open", CALLER_HERE());                                               \
        return number;                                                                             \
    }

OPEN_HOOK(open)
OPEN_HOOK(open64)

static void opened_at(int number, int directory, const char *path, struct caller caller)
{
    directory_look(number < 0, directory, path, 0, "openat", false, caller);
    opened(number, path, "openat", caller);
}

#define OPENAT_HOOK(name)                                                                          \
    EXPORT int name(int directory, const char *path, int flags, ...)                               \
    {                                                                                              \
        real_need();                                                                               \
        MODE_OF(flags, flags)                                                                      \
        int number = -1;                                                                           \
        event_opening_path(path);                                                                  \
        if (!directory_is_kept(directory, path, 0))                                                \
            number = real.name(directory, path, flags, mode);                                      \
        if (try_again(number))                                                                     \
            number = real.name(directory, path, flags, mode);                                      \
        opened_at(number, directory, path, CALLER_HERE());                                         \
        return number;                                                                             \
    }

OPENAT_HOOK(openat)
OPENAT_HOOK(openat64)

/* The fortified forms; the loader never calls them. */
#define OPENAT_2_HOOK(name)                                                                        \
    EXPORT int name(int directory, const char *path, int flags)                                    \
    {                                                                                              \
        real_need();                                                                               \
        int number = -1;                                                                           \
        event_opening_path(path);                                                                  \
        if (!directory_is_kept(directory, path, 0))                                                \
            number = real.name(directory, path, flags);                                            \
        if (try_again(number))                                                                     \
            number = real.name(directory, path, flags);                                            \
        opened_at(number, directory, path, CALLER_HERE());                                         \
        return number;                                                                             \
    }

OPENAT_2_HOOK(__openat_2)
OPENAT_2_HOOK(__openat64_2)

#define OPENING_HOOK(name, parameters, arguments, path, how)                                       \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        event_opening_path(path);                                                                  \
        int number = real.name arguments;                                                          \
        if (try_again(number))                                                                     \
            number = real.name arguments;                                                          \
        opened(number, path, how, CALLER_HERE());                                                  \
        return number;                                                                             \
    }

OPENING_HOOK(__open_2, (const char *path, int flags), (path, flags), path, "open")
OPENING_HOOK(__open64_2, (const char *path, int flags), (path, flags), path, "open")
OPENING_HOOK(creat, (const char *path, mode_t mode), (path, mode), NULL, "creat")
OPENING_HOOK(creat64, (const char *path, mode_t mode), (path, mode), NULL, "creat")
OPENING_HOOK(socket, (int family, int type, int protocol), (family, type, protocol), NULL, "socket")
OPENING_HOOK(epoll_create, (int size), (size), NULL, "epoll_create")
OPENING_HOOK(epoll_create1, (int flags), (flags), NULL, "epoll_create1")
OPENING_HOOK(eventfd, (unsigned value, int flags), (value, flags), NULL, "eventfd")
OPENING_HOOK(timerfd_create, (int clock, int flags), (clock, flags), NULL, "timerfd_create")
OPENING_HOOK(memfd_create, (const char *name, unsigned flags), (name, flags), NULL, "memfd_create")
OPENING_HOOK(inotify_init, (void), (), NULL, "inotify_init")
OPENING_HOOK(inotify_init1, (int flags), (flags), NULL, "inotify_init1")
OPENING_HOOK(fanotify_init, (unsigned flags, unsigned event_flags), (flags, event_flags), NULL,
             "fanotify_init")
OPENING_HOOK(pidfd_open, (pid_t process, unsigned flags), (process, flags), NULL, "pidfd_open")
OPENING_HOOK(shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode), NULL,
             "shm_open")
OPENING_HOOK(mkstemp, (char *path), (path), NULL, "mkstemp")
OPENING_HOOK(mkstemp64, (char *path), (path), NULL, "mkstemp")
OPENING_HOOK(mkostemp, (char *path, int flags), (path, flags), NULL, "mkostemp")
OPENING_HOOK(mkostemp64, (char *path, int flags), (path, flags), NULL, "mkostemp")
OPENING_HOOK(mkstemps, (char *path, int length), (path, length), NULL, "mkstemps")
OPENING_HOOK(mkstemps64, (char *path, int length), (path, length), NULL, "mkstemps")
OPENING_HOOK(mkostemps, (char *path, int length, int flags), (path, length, flags), NULL,
             "mkostemps")
OPENING_HOOK(mkostemps64, (char *path, int length, int flags), (path, length, flags), NULL,
             "mkostemps")
OPENING_HOOK(posix_openpt, (int flags), (flags), NULL, "posix_openpt")
OPENING_HOOK(getpt, (void), (), NULL, "getpt")
OPENING_HOOK(pidfd_getfd, (int process, int number_there, unsigned flags),
             (process, number_there, flags), NULL, "pidfd_getfd")

/* On Linux a queue is a descriptor (mq_overview(7)). */
EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    struct mq_attr *attributes = (flags & O_CREAT) != 0 ? va_arg(list, struct mq_attr *) : NULL;
    va_end(list);
    real_need();
    mqd_t queue = real.mq_open(name, flags, mode, attributes);
    if (try_again(queue))
        queue = real.mq_open(name, flags, mode, attributes);
    opened(queue, NULL, "mq_open", CALLER_HERE());
    return queue;
}

EXPORT int dup(int descriptor)
{
    real_need();
    int number = -1;
    if (event_is_kept(descriptor))
        errno = EBADF;
    else
        number = real.dup(descriptor);
    if (try_again(number))
        number = real.dup(descriptor);
    if (number < 0 && errno == EBADF)
        event_use_failed(descriptor, "dup", false, CALLER_HERE());
    opened(number, NULL, "dup", CALLER_HERE());
    return number;
}

#define PAIR_HOOK(name, parameters, arguments)                                                     \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        int result = real.name arguments;                                                          \
        if (try_again(result))                                                                     \
            result = real.name arguments;                                                          \
        if (result == 0) {                                                                         \
            event_opened(ends[0], #name, CALLER_HERE());                                           \
            event_opened(ends[1], #name, CALLER_HERE());                                           \
        }                                                                                          \
        return result;                                                                             \
    }

PAIR_HOOK(pipe, (int ends[2]), (ends))
PAIR_HOOK(pipe2, (int ends[2], int flags), (ends, flags))
PAIR_HOOK(socketpair, (int family, int type, int protocol, int ends[2]),
          (family, type, protocol, ends))

EXPORT int openpty(int *master, int *slave, char *name, const struct termios *settings,
                   const struct winsize *size)
{
    real_need();
    int result = real.openpty(master, slave, name, settings, size);
    if (result == 0) {
        event_opened(*master, "openpty", CALLER_HERE());
        event_opened(*slave, "openpty", CALLER_HERE());
    }
    return result;
}

EXPORT int forkpty(int *master, char *name, const struct termios *settings,
                   const struct winsize *size)
{
    real_need();
    int process = real.forkpty(master, name, settings, size);
    if (process > 0)
        event_opened(*master, "forkpty", CALLER_HERE());
    return process;
}

#define ACCEPT_HOOK(name, parameters, arguments)                                                   \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct descriptor_use use = event_use_begin(descriptor, #name, CALLER_HERE());             \
        int number = real.name arguments;                                                          \
        if (try_again(number))                                                                     \
            number = real.name arguments;                                                          \
        event_use_end(&use, number < 0, true, #name, CALLER_HERE());                               \
        opened(number, NULL, #name, CALLER_HERE());                                                \
        return number;                                                                             \
    }

ACCEPT_HOOK(accept, (int descriptor, struct sockaddr *address, socklen_t *length),
            (descriptor, address, length))
ACCEPT_HOOK(accept4, (int descriptor, struct sockaddr *address, socklen_t *length, int flags),
            (descriptor, address, length, flags))
