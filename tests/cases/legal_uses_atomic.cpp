// What threads may do with objects that others destroy, where atomics alone order it: nothing that
// a preloaded library sees. A flag that says that the user is done, one that the user asks and
// answers, a pool that is drained by a count.
// EXPECT silent
#include "waits.h"

#include <atomic>
#include <mutex>
#include <thread>

struct Thing {
    std::mutex mutex;
    int uses = 0;
    NOINLINE void use()
    {
        std::lock_guard<std::mutex> lock(mutex);
        uses++;
    }
};

/* It says that it is done, and sleeps on. */
static std::atomic<bool> done;

static void use_and_stay(Thing *thing)
{
    for (int round = 0; round < 5; round++) {
        thing->use();
        usleep(500);
    }
    done = true;
    for (;;)
        usleep(50000);
}

static void wait_for_done()
{
    auto *thing = new Thing;
    std::thread(use_and_stay, thing).detach();
    while (!done)
        usleep(100);
    delete thing;
}

/* It asks in every round, and answers that it has seen it. */
static std::atomic<Thing *> present;
static std::atomic<bool> seen;

static void ask_first(Thing *thing)
{
    for (;;) {
        if (present == thing)
            thing->use();
        else
            seen = true;
        case_round();
        usleep(300);
    }
}

static void take_away()
{
    auto *thing = new Thing;
    present = thing;
    std::thread(ask_first, thing).detach();
    case_await(6);
    present = nullptr;
    while (!seen)
        usleep(100);
    delete thing;
}

/* Many use it; the last one that leaves says so. */
static std::atomic<int> users{3};

static void use_and_leave(Thing *thing)
{
    for (int round = 0; round < 5; round++) {
        thing->use();
        usleep(300);
    }
    users--;
    usleep(50000000);
}

static void count_out()
{
    auto *thing = new Thing;
    for (int i = 0; i < 3; i++)
        std::thread(use_and_leave, thing).detach();
    while (users > 0)
        usleep(100);
    delete thing;
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    wait_for_done();
    take_away();
    count_out();
    return 0;
}
