// A worker uses an element of a global array that exit has destroyed.
// EXPECT kind=late-touch stripped=nothing late=worker destroyer=main touch=serve start=main says=global.Slot.slots
#include "case.h"

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

static volatile int served;

struct Slot {
    volatile int *counter = &served;
    NOINLINE ~Slot()
    {
        case_sink = (uintptr_t)counter;
    }
};

static Slot slots[2][5];

NOINLINE static void serve()
{
    ++*slots[1][3].counter;
}

static void *work(void *)
{
    case_name("worker");
    while (!case_stopped()) {
        serve();
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, nullptr, work, nullptr);
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    return 0;
}
