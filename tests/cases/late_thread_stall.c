// An exit handler frees an object that a detached thread comes back to; it is held for a while, so
// that the late touch happens although the process would be gone long before.
// EXPECT kind=late-touch late=poller destroyer=main touch=poller end=clean_up birth=main start=main options=linger=0,stall=60000
#include "service.h"

static struct service *service;

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
    service_pause = 200000;
    service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    atexit(clean_up);
    pthread_create(&thread, NULL, poller, service);
    if (bug)
        pthread_detach(thread);
    service_await_pause();
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
