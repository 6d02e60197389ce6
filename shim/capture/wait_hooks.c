/* Wait hooks: calls by which a thread sleeps or lets others run. They tell that a burst of frees is
 * over (see quarantine_end_burst); waits for locks are in lock_hooks.c, for data and
 * descriptors in buffer_hooks.c. */
#include "capture/real.h"

#include "event/event.h"

#define WAIT_HOOK(result, name, parameters, arguments)                                             \
    EXPORT result name parameters                                                                  \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        return real.name arguments;                                                                \
    }

typedef const struct timespec *span;
typedef struct timespec *rest;

WAIT_HOOK(int, sched_yield, (void), ())
WAIT_HOOK(void, thrd_yield, (void), ())
WAIT_HOOK(unsigned, sleep, (unsigned seconds), (seconds))
WAIT_HOOK(int, usleep, (useconds_t microseconds), (microseconds))
WAIT_HOOK(int, nanosleep, (span time, rest left), (time, left))
WAIT_HOOK(int, clock_nanosleep, (clockid_t clock, int flags, span time, rest left),
          (clock, flags, time, left))
WAIT_HOOK(int, thrd_sleep, (span time, rest left), (time, left))
WAIT_HOOK(int, select,
          (int count, fd_set *readable, fd_set *writable, fd_set *failed, struct timeval *time),
          (count, readable, writable, failed, time))
WAIT_HOOK(int, pselect,
          (int count, fd_set *readable, fd_set *writable, fd_set *failed, span time,
           const sigset_t *signals),
          (count, readable, writable, failed, time, signals))
WAIT_HOOK(int, accept, (int descriptor, struct sockaddr *address, socklen_t *length),
          (descriptor, address, length))
WAIT_HOOK(int, accept4, (int descriptor, struct sockaddr *address, socklen_t *length, int flags),
          (descriptor, address, length, flags))
