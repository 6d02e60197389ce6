// A function's static object is made by a worker; another one still calls the function when exit
// has destroyed it. A third thread ends the program.
// EXPECT kind=late-touch stripped=nothing late=worker destroyer=ender touch=settings end=~Settings start=main says=static.Settings.settings
#include "case.h"

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
        else
            while (case_rounds < 1000000)
                sched_yield();
    }
} gate;

static const int ports[] = {6033, 6032};

struct Settings {
    const int *first = ports;
    volatile int uses = 0;
    NOINLINE ~Settings()
    {
        uses = 0;
    }
};

NOINLINE static int settings()
{
    static Settings made;
    return *(const volatile int *)made.first;
}

static void *work(void *)
{
    case_name("worker");
    while (!case_stopped()) {
        case_sink = (uintptr_t)settings();
        case_round();
    }
    case_rounds = 1000000;
    return nullptr;
}

static void *end_program(void *)
{
    case_name("ender");
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    exit(0);
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    pthread_t threads[2];
    pthread_create(&threads[0], nullptr, work, nullptr);
    pthread_create(&threads[1], nullptr, end_program, nullptr);
    for (;;)
        pause();
}
