// A worker ends the program; an exit handler deletes what the monitor thread still uses.
// EXPECT kind=late-touch late=monitor destroyer=worker touch=look end=clean_up birth=main start=main
#include "case.h"

struct Shared {
    volatile int generation = 1;
};

static Shared *shared;
static bool is_bug;

NOINLINE static int look(const Shared *object)
{
    return object->generation;
}

NOINLINE static void clean_up()
{
    if (!is_bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    delete shared;
    if (is_bug)
        case_await(2);
}

static void *monitor(void *argument)
{
    case_name("monitor");
    while (!case_stopped()) {
        case_sink = (uintptr_t)look(static_cast<Shared *>(argument));
        case_round();
    }
    case_rounds = 1000000;
    return nullptr;
}

static void *work(void *)
{
    case_name("worker");
    case_await(2);
    exit(0);
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    shared = new Shared;
    atexit(clean_up);
    pthread_t threads[2];
    pthread_create(&threads[0], nullptr, monitor, shared);
    pthread_create(&threads[1], nullptr, work, nullptr);
    for (;;)
        pause();
}
