// A thread calls a member function of an object of a busy site that another has destroyed; the
// function itself reads no pointer of it, so that nothing but its entry can tell.
// EXPECT kind=late-touch stripped=nothing options=watch=^server::Monitor$ late=worker destroyer=main touch=count end=main birth=- start=main says=inside.server::Monitor::count
#include "hot.h"

#include <new>

namespace server
{
struct Monitor {
    int nothing = 0, more[20] = {}, rounds = 0;
    NOINLINE long count(int a, int b, int c, int d, int e, int f, int g, double h) const
    {
        return rounds + a + b + c + d + e + f + g + (long)h;
    }
    NOINLINE static void idle(void *)
    {
        case_sink++;
    }
};
} // namespace server

static void *run(void *argument)
{
    auto *monitor = static_cast<server::Monitor *>(argument);
    case_name("worker");
    while (!case_stopped()) {
        server::Monitor::idle(&argument);
        if (monitor->count(1, 2, 3, 4, 5, 6, 7, 8.5) < 36)
            abort();
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void *memory = hot_allocate(sizeof(server::Monitor));
    auto *monitor = new (memory) server::Monitor;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, monitor);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    free(monitor);
    if (bug)
        case_await(2);
    return 0;
}
