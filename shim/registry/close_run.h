/* Close run: tells loops that close every number from those that close what they own. A run is
 * closes of one thread from one place, with numbers that go up, or down, without large gaps. Plain
 * data of one thread. */
#ifndef OUTLIVE_REGISTRY_CLOSE_RUN_H
#define OUTLIVE_REGISTRY_CLOSE_RUN_H

#include <stdbool.h>
#include <stdint.h>

enum close_target {
    CLOSE_LIVE,
    CLOSE_SECOND,   /* its first close was seen */
    CLOSE_UNOPENED, /* never seen open, and not open */
};

struct close_run {
    uintptr_t caller; /* return address; 0: no run */
    int first, last;  /* numbers */
    int step;         /* from the one before; 0: the first */
    uint32_t length;
    bool has_live, has_unopened, has_gap;
};

/* Whether a close from there goes on with the run. */
bool close_run_continues(const struct close_run *run, int number, uintptr_t caller);
/* Notes it: as the next of the run, or the first of a new one. */
void close_run_add(struct close_run *run, int number, uintptr_t caller, enum close_target target);
/* Whether the closes lie within a loop that asked which numbers are open: that goes on beyond them
 * the same way. */
bool close_run_surrounds(const struct close_run *questions, const struct close_run *closes);
/* Whether what was closed so far looks like a loop over all numbers: it came to a number that
 * nobody opened, or took one after the other, those in use, too. Two or three neighbours may be
 * what one owner holds, and so may numbers with others between them. */
bool close_run_is_loop(const struct close_run *run);

#endif
