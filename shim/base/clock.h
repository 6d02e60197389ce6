/* Clock: time for events. Events are stamped with the processor's time stamp counter, which costs
 * a third of a clock_gettime; it is turned into nanoseconds only when a report is written.
 * Async-signal-safe. */
#ifndef OUTLIVE_BASE_CLOCK_H
#define OUTLIVE_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* Notes where both clocks stand; once, at start. */
void clock_start(void);

static inline uint64_t clock_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

/* Nanoseconds between two stamps; 0 if later is not later. */
uint64_t clock_nanoseconds_between(uint64_t earlier, uint64_t later);
/* Nanoseconds since clock_start() at the time of the stamp. */
uint64_t clock_nanoseconds(uint64_t ticks);
/* Wall-clock time of the stamp, nanoseconds since 1970. */
uint64_t clock_wall(uint64_t ticks);

uint64_t clock_milliseconds(void); /* monotonic, exact, a few tens of nanoseconds */

/* A monotonic time in milliseconds that costs one load. It moves only when clock_advance_coarse()
 * is called, which hooks do every so many events. */
extern _Atomic uint64_t clock_coarse __attribute__((visibility("hidden")));

static inline uint64_t clock_coarse_milliseconds(void)
{
    return atomic_load_explicit(&clock_coarse, memory_order_relaxed);
}

void clock_advance_coarse(void);

#endif
