// A member function that runs as a thread uses its object time and again, and sleeps in between;
// the object is deleted before the thread is told to stop and joined. In its rounds it waits for a
// condition, with a timeout, in another object.
// EXPECT kind=late-thread grade=imminent exit=0 late=monitor destroyer=main touch=look end=main birth=main start=start options=linger=0
#include "waits.h"

#include <condition_variable>
#include <mutex>
#include <sys/syscall.h>
#include <thread>

static std::mutex stop_mutex;
static std::condition_variable stop_condition;
static bool is_stopped;

struct Monitor {
    std::mutex mutex;
    int looks = 0;

    NOINLINE void look()
    {
        pthread_mutex_lock(mutex.native_handle());
        looks++;
        pthread_mutex_unlock(mutex.native_handle());
        case_sink++; // no tail call
    }
    void run()
    {
        case_name("monitor");
        waits_note();
        for (unsigned i = 1;; i++) {
            look();
            case_rounds = i;
            std::unique_lock<std::mutex> lock(stop_mutex);
            if (stop_condition.wait_for(lock, std::chrono::milliseconds(i < 4 ? 1 : 60000),
                                        [] { return is_stopped; }))
                return;
        }
    }
    NOINLINE std::thread start()
    {
        return std::thread(&Monitor::run, this);
    }
};

static void stop_it(std::thread &thread)
{
    {
        std::lock_guard<std::mutex> lock(stop_mutex);
        is_stopped = true;
    }
    stop_condition.notify_all();
    thread.join();
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *monitor = new Monitor;
    std::thread thread = monitor->start();
    while (case_rounds < 4)
        sched_yield();
    waits_await(SYS_futex);
    if (!bug)
        stop_it(thread);
    delete monitor;
    if (bug)
        stop_it(thread);
    return 0;
}
