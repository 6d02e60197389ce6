// A thread is started for each client, and nobody joins it.
// EXPECT kind=thread-leak grade=possible late= destroyer=- touch= end=- birth=serve start= exit=0 says=neither.joined
#include "case.h"

static void *work(void *argument)
{
    case_round();
    return argument;
}

NOINLINE static void serve(bool bug)
{
    pthread_t worker;
    unsigned before = case_rounds_now();
    pthread_create(&worker, NULL, work, NULL);
    case_await_from(before, 1);
    if (!bug)
        pthread_detach(worker);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    for (volatile int i = 0; i < 40; i = i + 1) /* not unrolled: one place */
        serve(bug);
    /* The last one's end is seen. */
    pthread_t last;
    pthread_create(&last, NULL, work, NULL);
    pthread_join(last, NULL);
    struct timespec pause = {0, 100000000};
    nanosleep(&pause, NULL);
    return 0;
}
