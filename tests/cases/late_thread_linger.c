// A detached thread comes back to an object that main has deleted, but only after main has
// returned: exit waits for it, so that its late touch happens.
// EXPECT kind=late-touch late=poller destroyer=main touch=poll_it end=main birth=main start=main options=linger=60000
#include "service.h"

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    service_pause = 200000;
    struct service *service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    pthread_create(&thread, NULL, poller, service);
    if (bug)
        pthread_detach(thread);
    service_await_pause();
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    pthread_mutex_destroy(&service->mutex);
    free(service);
    return 0;
}
