// A mutex is destroyed while another thread holds it.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=worker destroyer=main touch=enter end=drop start=main says=holds.the.mutex
#include "case.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void enter(void)
{
    pthread_mutex_lock(&mutex);
    case_sink++;
}

NOINLINE static void drop(void)
{
    pthread_mutex_destroy(&mutex);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    enter();
    case_round();
    while (!case_stopped())
        sched_yield();
    pthread_mutex_unlock(&mutex);
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    case_await_from(0, 1);
    if (bug)
        drop();
    case_tell_stop();
    pthread_join(thread, NULL);
    if (!bug)
        drop();
    return 0;
}
