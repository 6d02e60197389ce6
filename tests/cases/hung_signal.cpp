// At shutdown main joins a worker, which waits for a signal that nobody sends any more.
// EXPECT kind=hung-shutdown late=main destroyer=- touch=~pool end=- birth=- start=- options=shutdown_timeout=2 says=nobody.has.sent
#include "case.h"

#include <condition_variable>
#include <mutex>
#include <thread>

struct pool {
    std::mutex mutex;
    std::condition_variable changed;
    bool stop = false;
    std::thread worker;

    void run()
    {
        case_name("worker");
        std::unique_lock<std::mutex> lock(mutex);
        case_round();
        while (!stop)
            changed.wait(lock);
    }

    pool() : worker(&pool::run, this) {}

    NOINLINE ~pool();
};

static bool bug;

pool::~pool()
{
    if (!bug) { /* slow, but it ends */
        struct timespec pause = {0, 300000000};
        nanosleep(&pause, NULL);
        {
            std::lock_guard<std::mutex> lock(mutex);
            stop = true;
        }
        changed.notify_all();
    }
    worker.join();
    case_sink++;
}

int main(int count, char **arguments)
{
    bug = case_is_bug(count, arguments);
    unsigned before = case_rounds_now();
    static pool workers;
    case_await_from(before, 1);
    return 0;
}
