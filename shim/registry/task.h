/* Task: what the kernel says of another thread of the process, which goes on meanwhile (proc(5)).
 * Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_TASK_H
#define OUTLIVE_REGISTRY_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The call that a thread is in, by /proc/pid/task/tid/syscall, which stops no thread. */
struct task_call {
    long number; /* of the system call; -1: in none */
    uint64_t arguments[6];
    uintptr_t pointer, address; /* stack pointer and program counter */
};

enum task_state {
    TASK_UNKNOWN, /* the kernel does not say: no /proc, or no right to read it */
    TASK_RUNS,
    TASK_SLEEPS, /* in *call */
};

enum task_state task_state(pid_t tid, struct task_call *call);
/* In whatever call. May be asked for where the call may not. */
bool task_is_asleep(pid_t tid);
/* Where it is in the kernel, if only on its way there. False: it runs, or may not be asked. */
bool task_is_in_kernel(pid_t tid, struct task_call *call);
/* The thread has not moved since. */
bool task_is_still(pid_t tid, const struct task_call *call);
/* The call ends by itself after some time: it has a timeout. */
bool task_call_has_end(const struct task_call *call);
/* Of a line of that file. False: it holds no addresses. */
bool task_call_parse(const char *line, struct task_call *call);

/* False only where the kernel has no such thread. */
bool task_is_alive(pid_t tid);

#endif
