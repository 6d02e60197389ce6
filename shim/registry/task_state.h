/* Task state: whether a thread of the process sleeps, by /proc/self/task/TID/stat (proc(5)). Which call
 * it sleeps in, its `syscall` tells, but also of one that has just been woken and was not yet given a
 * processor (TASK_WAKING, on another processor's list): its state is R by then. Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_TASK_STATE_H
#define OUTLIVE_REGISTRY_TASK_STATE_H

#include <stdbool.h>
#include <sys/types.h>

/* False also where it cannot be told. */
bool task_sleeps(pid_t tid);

#endif
