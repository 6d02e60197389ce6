// An exit handler frees an object that a detached thread comes back to; it is held for a while, so
// that the late touch happens although the process would be gone long before.
// EXPECT kind=late-touch late=poller destroyer=main touch=poller end=clean_up birth=main start=main options=linger=0,stall=60000
#include "waits.h"

#include <sys/syscall.h>

struct service {
    pthread_mutex_t mutex;
    int calls;
};

static struct service *service;

NOINLINE static void poll_it(struct service *polled)
{
    pthread_mutex_lock(&polled->mutex);
    polled->calls++;
    pthread_mutex_unlock(&polled->mutex);
}

static void *poller(void *argument)
{
    case_name("poller");
    waits_note();
    for (int i = 0; !case_stopped(); i++) {
        poll_it(argument);
        case_rounds = (unsigned)i + 1;
        usleep(i < 3 ? 1000 : 200000);
    }
    return NULL;
}

NOINLINE static void clean_up(void)
{
    pthread_mutex_destroy(&service->mutex);
    free(service);
    service = NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    atexit(clean_up);
    pthread_create(&thread, NULL, poller, service);
    if (bug)
        pthread_detach(thread);
    while (case_rounds < 4)
        sched_yield();
    waits_await(SYS_clock_nanosleep);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
