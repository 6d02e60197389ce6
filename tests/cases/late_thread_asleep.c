// A thread that comes back to an object in every round sleeps between two of them while the object
// is freed: it holds it in its frame and by its start argument.
// EXPECT kind=late-thread grade=imminent exit=0 late=poller destroyer=main touch=poll_it end=main birth=main start=main options=linger=0
#include "service.h"

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    service_pause = 60000000;
    struct service *service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    pthread_create(&thread, NULL, poller, service);
    service_await_pause();
    if (!bug) { /* it is stopped for good */
        case_tell_stop();
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    pthread_mutex_destroy(&service->mutex);
    free(service);
    return 0;
}
