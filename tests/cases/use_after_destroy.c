// A thread locks a mutex after main has destroyed it.
// EXPECT kind=use-after-destroy late=worker destroyer=main touch=enter end=drop start=main says=pthread_mutex_lock()
#include "case.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

NOINLINE static void enter(void)
{
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    case_sink++;
}

NOINLINE static void drop(void)
{
    while (pthread_mutex_destroy(&mutex) != 0) /* until nobody holds it */
        sched_yield();
    case_sink++;
}

static void *run(void *argument)
{
    unsigned turns = 0;
    case_name("worker");
    while (!case_stopped()) {
        if (turns++ == 0)
            enter();
        case_round();
        if (__atomic_load_n(&case_sink, __ATOMIC_SEQ_CST) >= 2)
            enter();
    }
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    case_await_from(0, 2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop();
    if (bug)
        case_await(2);
    return 0;
}
