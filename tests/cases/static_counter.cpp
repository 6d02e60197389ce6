// A worker counts in a table of atomic numbers, larger than a page, that exit has destroyed.
// EXPECT kind=late-touch stripped=nothing late=worker destroyer=main touch=count_one end=~Counters start=main says=global.Counters.counters
#include "case.h"

#include <atomic>

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

struct Counters {
    std::atomic<long> numbers[2048];
    NOINLINE ~Counters()
    {
        case_sink = (uintptr_t)numbers[0].load();
    }
};

static Counters counters;

NOINLINE static void count_one(unsigned at)
{
    counters.numbers[at % 2048].fetch_add(1);
}

static void *work(void *)
{
    case_name("worker");
    while (!case_stopped()) {
        for (unsigned at = 0; at < 2048; at += 8)
            count_one(at);
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
