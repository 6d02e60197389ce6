// A library's own thread, never joined, waits for its program's word when the library is closed.
// LIBRARY
// EXPECT kind=use-after-unload late=monitor destroyer=main touch=watch end=drop birth=load start=* reports=2 says=is.inside.unload_monitor
#include "unload.h"

#include <condition_variable>
#include <mutex>
#include <thread>

/* The program's. */
struct Gate {
    std::mutex lock;
    std::condition_variable changed;
    bool open = false;
};

#ifdef CASE_LIBRARY
namespace
{
class Monitor
{
  public:
    explicit Monitor(Gate *gate_) : gate(gate_), thread(&Monitor::run, this) {}
    void join()
    {
        thread.join();
    }

  private:
    NOINLINE int watch(int rounds)
    {
        std::unique_lock<std::mutex> hold(gate->lock);
        while (!gate->open)
            gate->changed.wait(hold);
        return rounds + 1;
    }
    void run()
    {
        case_name("monitor");
        waits_note();
        case_sink = case_sink + static_cast<uintptr_t>(watch(1));
    }

    Gate *gate;
    std::thread thread;
};

Monitor *monitor;
} // namespace

extern "C" volatile int *start(Gate *gate)
{
    monitor = new Monitor(gate);
    return &waiter;
}

extern "C" void join()
{
    monitor->join();
    delete monitor;
}
#else
static Gate *const gate = new Gate;

static void open_gate()
{
    std::lock_guard<std::mutex> hold(gate->lock);
    gate->open = true;
    gate->changed.notify_all();
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    volatile int *(*start)(Gate *);
    void (*join)();
    void *library = load();
    unload_find(library, "start", start);
    unload_find(library, "join", join);
    volatile int *thread = start(gate);
    while ((waiter = *thread) == 0)
        sched_yield();
    waits_await(SYS_futex);
    if (bug) {
        drop(library);
        open_gate();
        case_await(1); /* the thread does not come back */
    } else {
        open_gate();
        join();
        drop(library);
    }
    return 0;
}
#endif
