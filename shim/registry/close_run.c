/* Close run: see close_run.h. */
#include "registry/close_run.h"

/* Loops leave out some numbers that are to stay open. */
#define LARGEST_GAP 16
#define SHORTEST_LOOP 4

bool close_run_continues(const struct close_run *run, int number, uintptr_t caller)
{
    int step = number - run->last;
    if (run->caller == 0 || run->caller != caller || step == 0 || step > LARGEST_GAP ||
        step < -LARGEST_GAP)
        return false;
    return run->step == 0 || (run->step > 0) == (step > 0);
}

void close_run_add(struct close_run *run, int number, uintptr_t caller, enum close_target target)
{
    if (!close_run_continues(run, number, caller))
        *run = (struct close_run){.caller = caller, .first = number};
    else
        run->step = number - run->last;
    run->has_gap = run->has_gap || run->step > 1 || run->step < -1;
    run->last = number;
    run->length++;
    run->has_live = run->has_live || target == CLOSE_LIVE;
    run->has_unopened = run->has_unopened || target == CLOSE_UNOPENED;
}

bool close_run_is_loop(const struct close_run *run)
{
    return run->length > 1 &&
           (run->has_unopened || (run->has_live && !run->has_gap && run->length >= SHORTEST_LOOP));
}

bool close_run_surrounds(const struct close_run *questions, const struct close_run *closes)
{
    int way = questions->step < 0 ? -1 : 1;
    return closes->caller != 0 && close_run_is_loop(questions) && closes->step * way >= 0 &&
           (closes->first - questions->first) * way >= -LARGEST_GAP &&
           (questions->last - closes->last) * way > 0;
}
