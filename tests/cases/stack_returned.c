// A worker publishes the address of a variable of its own and returns; it is read after the join.
// EXPECT kind=late-touch ended=yes late=main destroyer=worker touch=look end=work birth=main start=- says=the.stack.of.thread
#include "case.h"

struct progress {
    long rounds[8];
};

static struct progress *volatile shared;

NOINLINE static long look(const struct progress *progress)
{
    return *(volatile const long *)&progress->rounds[3];
}

NOINLINE static void publish(struct progress *progress)
{
    progress->rounds[3] = 7;
    shared = progress;
    case_round();
}

static void *work(void *waits)
{
    struct progress progress = {{0}};
    case_name("worker");
    publish(&progress);
    while (waits != NULL && !case_stopped())
        sched_yield();
    case_sink = (uintptr_t)progress.rounds[3];
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, work, bug ? NULL : &thread);
    case_await_from(0, 1);
    if (bug)
        pthread_join(thread, NULL);
    case_sink = (uintptr_t)look(shared);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
