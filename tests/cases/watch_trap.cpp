// A watched member function reads dead memory with its first instructions, which lie in a
// trampoline then: the trap is in the function all the same.
// EXPECT kind=late-touch stripped=late-touch options=watch=Monitor late=worker destroyer=main touch=step end=main birth=main start=main says=inside.Monitor::step
#include "case.h"

struct Monitor {
    volatile long steps = 0;
    NOINLINE void step()
    {
        steps = steps + 1;
    }
};

NOINLINE static void call(Monitor *monitor)
{
    monitor->step();
    case_sink++;
}

static void *start(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        call(static_cast<Monitor *>(argument));
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *monitor = new Monitor;
    pthread_t thread;
    pthread_create(&thread, nullptr, start, monitor);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    delete monitor;
    if (bug)
        case_await(2);
    return 0;
}
