/* Waiting: where a thread waits in the kernel, by the kernel's word (proc(5), /proc/pid/task/tid/
 * syscall), which stops no thread, as a signal would. Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_WAITING_H
#define OUTLIVE_REGISTRY_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct waiting {
    uintptr_t address, pointer; /* program counter and stack pointer */
};

/* False: it runs, or may not be asked. */
bool waiting_of(pid_t tid, struct waiting *waiting);
/* The last two numbers of such a line. False: it holds none. */
bool waiting_parse(const char *line, struct waiting *waiting);

#endif
