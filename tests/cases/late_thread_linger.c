// A detached thread comes back to an object that main has deleted, but only after main has
// returned: exit waits for it, so that its late touch happens.
// EXPECT kind=late-touch late=poller destroyer=main touch=poll_it end=main birth=main start=main options=linger=60000
#include "waits.h"

#include <sys/syscall.h>

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

static void *poller(void *argument)
{
    struct service *service = argument;
    case_name("poller");
    waits_note();
    for (int i = 0; !case_stopped(); i++) {
        poll_it(service);
        case_rounds = (unsigned)i + 1;
        usleep(i < 3 ? 1000 : 200000);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    struct service *service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
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
    pthread_mutex_destroy(&service->mutex);
    free(service);
    return 0;
}
