/* Sleeper: what the kernel says of a thread that waits in a system call. It stops no thread, as a
 * signal would (proc(5), /proc/pid/task/tid/syscall). Async-signal-safe. */
#ifndef OUTLIVE_EVENT_SLEEPER_H
#define OUTLIVE_EVENT_SLEEPER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum asked {
    ASKED_IN_VAIN, /* a process that changed its user may not read it */
    ASKED_RUNS,
    ASKED_SLEEPS,
};

/* ASKED_SLEEPS: in that system call, with that first argument. */
enum asked sleeper_system_call(pid_t tid, uint64_t *number, uint64_t *first);
/* A file of the thread's in /proc, with a NUL at the end: how many bytes; 0: cannot be read. */
size_t sleeper_read(pid_t tid, const char *file, char *buffer, size_t size);

#endif
