/* Mark: tells compare that the work to be measured begins here. */
#ifndef OUTLIVE_TESTS_MARK_H
#define OUTLIVE_TESTS_MARK_H

#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MARK_DESCRIPTOR 100 /* a pipe of compare's: the CPU time so far, in nanoseconds */

static inline void mark(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    int64_t nanoseconds = used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
    if (write(MARK_DESCRIPTOR, &nanoseconds, sizeof nanoseconds) < 0)
        return; /* run by hand */
}

#endif
