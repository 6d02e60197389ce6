/* Waiting: where a thread waits in the kernel, by the kernel's word (proc(5), /proc/pid/task/tid/
 * syscall), which stops no thread, as a signal would. Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_WAITING_H
#define OUTLIVE_REGISTRY_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct waiting {
    uintptr_t address, pointer; /* program counter and stack pointer */
    long number;                /* of the system call; -1: in none */
    uint64_t arguments[6];
};

/* False: it runs, or may not be asked. */
bool waiting_of(pid_t tid, struct waiting *waiting);
/* The call ends by itself after some time: it has a timeout. */
bool waiting_has_end(const struct waiting *waiting);
/* Of such a line. False: it holds no addresses. */
bool waiting_parse(const char *line, struct waiting *waiting);

#endif
