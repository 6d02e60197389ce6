/* For cases in which a thread waits in the kernel: until it does so. */
#ifndef OUTLIVE_TESTS_WAITS_H
#define OUTLIVE_TESTS_WAITS_H

#include "case.h"

#include <fcntl.h>
#include <sys/syscall.h>

static volatile int waiter; /* its thread id */

static inline void waits_note(void)
{
    __atomic_store_n(&waiter, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
}

/* The thread sleeps in that system call (proc(5)); at most ten seconds. */
static inline void waits_await(long system_call)
{
    time_t end = time(NULL) + 10;
    while (time(NULL) < end) {
        char path[64], line[64] = {0};
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall",
                 __atomic_load_n(&waiter, __ATOMIC_SEQ_CST));
        FILE *file = fopen(path, "r");
        bool read_it = file != NULL && fgets(line, sizeof line, file) != NULL;
        if (file != NULL)
            fclose(file);
        if (read_it && line[0] >= '0' && line[0] <= '9' && atol(line) == system_call)
            return;
        sched_yield();
    }
}

#endif
