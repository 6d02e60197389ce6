/* For cases of late threads: an object that a thread comes back to in its rounds, under the
 * object's own lock. */
#ifndef OUTLIVE_TESTS_SERVICE_H
#define OUTLIVE_TESTS_SERVICE_H

#include "waits.h"

struct service {
    pthread_mutex_t mutex;
    int calls;
};

NOINLINE static void poll_it(struct service *service)
{
    pthread_mutex_lock(&service->mutex);
    service->calls++;
    pthread_mutex_unlock(&service->mutex);
}

static useconds_t service_pause; /* after the fourth round and later ones */

static void *poller(void *argument)
{
    case_name("poller");
    waits_note();
    for (int i = 0; !case_stopped(); i++) {
        poll_it((struct service *)argument);
        case_rounds = (unsigned)i + 1;
        usleep(i < 3 ? 1000 : service_pause);
    }
    return NULL;
}

/* It is in such a pause. */
static inline void service_await_pause(void)
{
    while (case_rounds < 4)
        sched_yield();
    waits_await(SYS_clock_nanosleep);
}

#endif
