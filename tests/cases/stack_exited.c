// A detached worker leaves by pthread_exit deep in a call, while the main thread still reads a
// variable of the frame that called it; nothing but the kernel tells that it is gone.
// EXPECT kind=late-touch ended=yes late=main destroyer=worker touch=look end=leave birth=main start=- says=the.frame.there.was.that.of
#include "case.h"

struct progress {
    long rounds[8];
};

static struct progress *volatile shared;
static bool is_bug;

NOINLINE static long look(const struct progress *progress)
{
    return *(volatile const long *)&progress->rounds[3];
}

NOINLINE static void leave(struct progress *progress)
{
    shared = progress;
    case_round();
    while (!is_bug && !case_stopped())
        sched_yield();
    progress->rounds[2]++;
    pthread_exit(NULL);
}

NOINLINE static void serve(void)
{
    struct progress progress = {{0}};
    progress.rounds[3] = 7;
    leave(&progress);
    case_sink = (uintptr_t)progress.rounds[2];
}

static void *work(void *unused)
{
    case_name("worker");
    serve();
    return unused;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_detach(thread);
    case_await_from(0, 1);
    for (int i = 0; i < (is_bug ? 1000 : 100); i++) {
        case_sink = (uintptr_t)look(shared);
        usleep(1000);
    }
    case_tell_stop();
    return 0;
}
