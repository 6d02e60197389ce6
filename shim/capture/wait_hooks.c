/* Wait hooks: calls by which a thread sleeps or lets others run. They tell that a burst of frees is
 * over (see quarantine_end_burst); waits for locks are in lock_hooks.c, for data and
 * descriptors in buffer_hooks.c and opening_hooks.c. */
#include "capture/real.h"

#include "event/descriptor.h"

#define YIELD_HOOK(result, name)                                                                   \
    EXPORT result name(void)                                                                       \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        return real.name();                                                                        \
    }

#define WAIT_HOOK(result, name, parameters, arguments)                                             \
    EXPORT result name parameters                                                                  \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        event_pauses();                                                                            \
        result ended = real.name arguments;                                                        \
        event_pause_timed_out();                                                                   \
        return ended;                                                                              \
    }

typedef const struct timespec *span;
typedef struct timespec *rest;

YIELD_HOOK(int, sched_yield)
YIELD_HOOK(void, thrd_yield)
WAIT_HOOK(unsigned, sleep, (unsigned seconds), (seconds))
WAIT_HOOK(int, usleep, (useconds_t microseconds), (microseconds))
WAIT_HOOK(int, nanosleep, (span time, rest left), (time, left))
WAIT_HOOK(int, clock_nanosleep, (clockid_t clock, int flags, span time, rest left),
          (clock, flags, time, left))
WAIT_HOOK(int, thrd_sleep, (span time, rest left), (time, left))

/* An answer of EBADF names no number: those in the sets that are closed are all told. */
static void look_at_set(const fd_set *set, int count, const char *function, struct caller caller)
{
    for (int number = 0; set != NULL && number < count && number < FD_SETSIZE; number++)
        if (FD_ISSET(number, set))
            event_use_failed(number, function, true, caller);
}

/* To the kernel the stand-in of a closed number is always ready, but select refuses a number
 * that was closed when it began. */
static bool has_kept(const fd_set *set, int count, uint64_t ticks)
{
    for (int first = 0; set != NULL && first < count && first < FD_SETSIZE; first += NFDBITS)
        for (uint64_t bits = (uint64_t)set->fds_bits[first / NFDBITS]; bits != 0; bits &= bits - 1)
            if (first + __builtin_ctzl(bits) < count &&
                event_is_kept_since(first + __builtin_ctzl(bits), ticks))
                return true;
    return false;
}

#define SELECT_HOOK(name, parameters, arguments)                                                   \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        event_pauses();                                                                            \
        struct thread_call *call =                                                                 \
            event_wait_begin(readable, writable, failed, (uint64_t)count, #name, CALLER_HERE());   \
        uint64_t ticks = clock_ticks();                                                            \
        int ready = real.name arguments;                                                           \
        event_wait_end(call);                                                                      \
        if (ready == 0)                                                                            \
            event_pause_timed_out();                                                               \
        if (ready > 0 && (has_kept(readable, count, ticks) || has_kept(writable, count, ticks) ||  \
                          has_kept(failed, count, ticks))) {                                       \
            errno = EBADF;                                                                         \
            ready = -1;                                                                            \
        }                                                                                          \
        if (__builtin_expect(ready < 0, 0) && errno == EBADF) {                                    \
            look_at_set(readable, count, #name, CALLER_HERE());                                    \
            look_at_set(writable, count, #name, CALLER_HERE());                                    \
            look_at_set(failed, count, #name, CALLER_HERE());                                      \
        }                                                                                          \
        return ready;                                                                              \
    }

SELECT_HOOK(select,
            (int count, fd_set *readable, fd_set *writable, fd_set *failed, struct timeval *time),
            (count, readable, writable, failed, time))
SELECT_HOOK(pselect,
            (int count, fd_set *readable, fd_set *writable, fd_set *failed, span time,
             const sigset_t *signals),
            (count, readable, writable, failed, time, signals))
