/* Task: what the kernel says of another thread of the process, which goes on meanwhile (proc(5)).
 * Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_TASK_H
#define OUTLIVE_REGISTRY_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The system call that a thread sleeps in, and its first argument. */
struct task_call {
    long number;
    uint64_t first;
};

enum task_state {
    TASK_UNKNOWN, /* the kernel does not say: no /proc, or no right to read it */
    TASK_RUNS,
    TASK_SLEEPS, /* in *call */
};

enum task_state task_state(pid_t tid, struct task_call *call);
/* In whatever call. May be asked for where the call may not. */
bool task_is_asleep(pid_t tid);

/* False only where the kernel has no such thread. */
bool task_is_alive(pid_t tid);

#endif
