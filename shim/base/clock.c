/* Clock: see clock.h. */
#include "base/clock.h"

#include <time.h>

_Atomic uint64_t clock_coarse;

static uint64_t start_ticks, start_nanoseconds, start_wall;

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void clock_start(void)
{
    start_ticks = clock_ticks();
    start_nanoseconds = read_clock(CLOCK_MONOTONIC);
    start_wall = read_clock(CLOCK_REALTIME);
    clock_advance_coarse();
}

/* The counter's rate is measured over the whole life of the process, so it needs no calibration
 * loop at start; the error falls with the run's length. */
static double nanoseconds_a_tick(void)
{
    uint64_t ticks = clock_ticks() - start_ticks;
    uint64_t nanoseconds = read_clock(CLOCK_MONOTONIC) - start_nanoseconds;
    return ticks == 0 ? 1.0 : (double)nanoseconds / (double)ticks;
}

uint64_t clock_nanoseconds_between(uint64_t earlier, uint64_t later)
{
    if (later <= earlier)
        return 0;
    return (uint64_t)((double)(later - earlier) * nanoseconds_a_tick());
}

uint64_t clock_nanoseconds(uint64_t ticks)
{
    return clock_nanoseconds_between(start_ticks, ticks);
}

uint64_t clock_wall(uint64_t ticks)
{
    return start_wall + clock_nanoseconds(ticks);
}

uint64_t clock_milliseconds(void)
{
    return read_clock(CLOCK_MONOTONIC) / 1000000;
}

void clock_advance_coarse(void)
{
    uint64_t now = clock_milliseconds();
    if (atomic_load_explicit(&clock_coarse, memory_order_relaxed) != now)
        atomic_store_explicit(&clock_coarse, now, memory_order_relaxed);
}
