// A thread that used an object in all its rounds has happened to end in time: nothing waits for its
// end before the object is freed, and nothing ever does.
// EXPECT kind=late-thread grade=possible exit=0 late=poller destroyer=main touch=poll_it end=main birth=main start=main
#include "service.h"

static void *briefly(void *argument)
{
    struct service *service = argument;
    case_name("poller");
    for (int i = 0; i < 5; i++) {
        poll_it(service);
        usleep(200);
    }
    case_rounds = 1;
    return NULL;
}

/* Until the kernel has no other thread. */
static void await_end(void)
{
    int threads = 0;
    while (threads != 1) {
        char line[256];
        FILE *file = fopen("/proc/self/status", "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL)
            (void)sscanf(line, "Threads: %d", &threads);
        if (file != NULL)
            fclose(file);
        sched_yield();
    }
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    struct service *service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    pthread_create(&thread, NULL, briefly, service);
    while (case_rounds == 0)
        sched_yield();
    await_end();
    if (!bug)
        pthread_join(thread, NULL);
    pthread_mutex_destroy(&service->mutex);
    free(service);
    return 0;
}
