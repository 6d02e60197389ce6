// A thread that is never joined sums a vector of a deleted object.
// EXPECT kind=late-touch late=worker destroyer=main touch=sum end=main birth=main start=main
#include "case.h"

#include <vector>

struct Pool {
    std::vector<int> load;
};

NOINLINE static int sum(const Pool *pool)
{
    int total = 0;
    for (int load : pool->load)
        total += load;
    return total;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        case_sink = (uintptr_t)sum(static_cast<Pool *>(argument));
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *pool = new Pool;
    pool->load.assign(100, 7);
    pthread_t thread;
    pthread_create(&thread, nullptr, run, pool);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    delete pool;
    if (bug)
        case_await(2);
    return 0;
}
