/* Real: the functions behind the hooks, and the prototypes of those that no header declares. */
#ifndef OUTLIVE_CAPTURE_REAL_H
#define OUTLIVE_CAPTURE_REAL_H

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void cfree(void *address);
void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void *_ZnamSt11align_val_t(size_t size, size_t alignment);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow);
void _ZdlPv(void *address);
void _ZdaPv(void *address);
void _ZdlPvm(void *address, size_t size);
void _ZdaPvm(void *address, size_t size);
void _ZdlPvRKSt9nothrow_t(void *address, const void *nothrow);
void _ZdaPvRKSt9nothrow_t(void *address, const void *nothrow);
void _ZdlPvSt11align_val_t(void *address, size_t alignment);
void _ZdaPvSt11align_val_t(void *address, size_t alignment);
void _ZdlPvmSt11align_val_t(void *address, size_t size, size_t alignment);
void _ZdaPvmSt11align_val_t(void *address, size_t size, size_t alignment);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *address, size_t alignment, const void *nothrow);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *address, size_t alignment, const void *nothrow);
void __cxa_pure_virtual(void *self);
void _ZSt9terminatev(void);
ssize_t __read_chk(int descriptor, void *buffer, size_t size, size_t room);
ssize_t __pread_chk(int descriptor, void *buffer, size_t size, off_t offset, size_t room);
ssize_t __pread64_chk(int descriptor, void *buffer, size_t size, off_t offset, size_t room);
ssize_t __recv_chk(int descriptor, void *buffer, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int descriptor, void *buffer, size_t size, size_t room, int flags,
                       struct sockaddr *address, socklen_t *length);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);
int __fxstat(int version, int descriptor, struct stat *status);
int __fxstat64(int version, int descriptor, struct stat64 *status);
int __fxstatat(int version, int directory, const char *path, struct stat *status, int flags);
int __fxstatat64(int version, int directory, const char *path, struct stat64 *status, int flags);
int fcntl64(int descriptor, int command, ...);
int epoll_pwait2(int descriptor, struct epoll_event *events, int room,
                 const struct timespec *timeout, const sigset_t *mask);
int pidfd_getfd(int process, int number, unsigned flags);
int pidfd_open(pid_t process, unsigned flags);
int __poll_chk(struct pollfd *watched, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *watched, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t room);
sighandler_t bsd_signal(int number, sighandler_t handler);
sighandler_t ssignal(int number, sighandler_t handler);
sighandler_t __sysv_signal(int number, sighandler_t handler);
int __cxa_atexit(void (*function)(void *), void *argument, void *library);
int __libc_start_main(int (*main)(int, char **, char **), int count, char **arguments,
                      void (*initialise)(void), void (*finish)(void), void (*loader_finish)(void),
                      void *stack_end);

struct real {
#define HOOK(name) __typeof__(&name) name;
#define HOOK_AT(name, version) HOOK(name)
#include "capture/hooks.def"
#undef HOOK
#undef HOOK_AT
};

extern struct real real __attribute__((visibility("hidden")));

/* Fills the table; idempotent. A hook that may run before the shim's start calls it. It
 * allocates nothing: that hook may run inside the program's allocator. */
void real_resolve(void);
static inline void real_need(void)
{
    if (__builtin_expect(real.free == NULL, 0))
        real_resolve();
}

/* This libc does not have it: the table holds a function that fails with ENOSYS. */
bool real_is_missing(const void *function);

#define REAL_EARLY_SIZE ((size_t)64 * 1024)

/* The program's allocator, or a small static buffer while the table is being filled. */
void *real_allocate(size_t size);
void real_release(void *address);
extern char real_early[REAL_EARLY_SIZE] __attribute__((visibility("hidden")));
static inline bool real_is_early(const void *address)
{
    return (uintptr_t)address - (uintptr_t)real_early < REAL_EARLY_SIZE;
}

/* The object file that defines the function, or NULL. */
const char *real_file_of(const void *function);

#endif
