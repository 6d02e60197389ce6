/* System: raw Linux system calls. Everything in the shim that runs inside a hook or a signal
 * handler goes through here: no interposition, no errno, no cancellation point. All return what
 * the kernel returns: a negative errno on failure. Async-signal-safe. x86-64 calling sequence:
 * System V ABI AMD64 supplement, appendix A.2.1. */
#ifndef OUTLIVE_BASE_SYSTEM_H
#define OUTLIVE_BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

/* Calls that a seccomp filter of the program would punish, a bit each (base/filter.h). */
#define SYSTEM_CALLS 512
extern uint64_t system_refused[SYSTEM_CALLS / 64] __attribute__((visibility("hidden")));
extern pid_t system_process_known __attribute__((visibility("hidden")));

static inline bool system_is_refused(long number)
{
    return __builtin_expect((system_refused[number / 64] >> number % 64 & 1) != 0, 0);
}

static inline long system_call6(long number, long a, long b, long c, long d, long e, long f)
{
    if (system_is_refused(number))
        return -1; /* EPERM */
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long system_call3(long number, long a, long b, long c)
{
    return system_call6(number, a, b, c, 0, 0, 0);
}

static inline long system_call4(long number, long a, long b, long c, long d)
{
    return system_call6(number, a, b, c, d, 0, 0);
}

static inline pid_t system_process(void)
{
    pid_t process = (pid_t)system_call3(SYS_getpid, 0, 0, 0);
    return process > 0 ? process : system_process_known;
}

/* Negative where it may not be asked for: still another one for each thread. */
static inline pid_t system_thread(void)
{
    pid_t thread = (pid_t)system_call3(SYS_gettid, 0, 0, 0);
    return thread > 0 ? thread
                      : -(pid_t)((uintptr_t)__builtin_thread_pointer() >> 6 & 0x3fffffff) - 2;
}

static inline long system_open(const char *path, int flags, int mode)
{
    return system_call4(SYS_openat, -100 /* AT_FDCWD */, (long)path, flags, mode);
}

static inline long system_close(int descriptor)
{
    return system_call3(SYS_close, descriptor, 0, 0);
}

static inline long system_read(int descriptor, void *buffer, size_t size)
{
    return system_call3(SYS_read, descriptor, (long)buffer, (long)size);
}

static inline long system_write(int descriptor, const void *buffer, size_t size)
{
    return system_call3(SYS_write, descriptor, (long)buffer, (long)size);
}

/* struct stat has the kernel's layout on x86-64 (glibc's bits/struct_stat.h). */
static inline long system_fstat(int descriptor, struct stat *status)
{
    return system_call3(SYS_fstat, descriptor, (long)status, 0);
}

static inline long system_futex(_Atomic uint32_t *word, int operation, uint32_t value,
                                const struct timespec *timeout)
{
    return system_call6(SYS_futex, (long)word, operation, (long)value, (long)timeout, 0, 0);
}

static inline void system_sleep_ms(long milliseconds)
{
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    (void)system_call3(SYS_nanosleep, (long)&pause, 0, 0);
}

#endif
