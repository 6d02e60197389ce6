// A condition variable is destroyed while a thread waits for it, with a time limit: glibc's own
// destruction hangs until that is over.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=waiter destroyer=main touch=run end=main start=main says=waits.in.pthread_cond
#include "waits.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

static std::mutex mutex;
static std::optional<std::condition_variable> changed;
static bool ready;

NOINLINE static void *run(void *)
{
    case_name("waiter");
    std::unique_lock<std::mutex> hold(mutex);
    waits_note();
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (!ready && std::chrono::steady_clock::now() < end)
        changed->wait_until(hold, end);
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    changed.emplace();
    pthread_t thread;
    pthread_create(&thread, nullptr, run, nullptr);
    waits_await(SYS_futex);
    if (bug)
        changed.reset();
    {
        std::lock_guard<std::mutex> hold(mutex);
        ready = true;
        if (!bug)
            changed->notify_all();
    }
    if (!bug)
        changed.reset(); // who was told may still be leaving
    pthread_join(thread, nullptr);
    return 0;
}
