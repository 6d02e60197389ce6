// The address of a thread's own cache, thread_local, is kept in a list that outlives the thread.
// EXPECT kind=late-touch ended=yes late=reader destroyer=owner touch=look end=own birth=main start=main says=thread-local.storage.of.thread
#include "case.h"

struct Cache {
    volatile long hits[16];
    long *more;
    Cache() : hits{}, more(new long[4]{}) {}
    ~Cache()
    {
        delete[] more;
    }
};

static thread_local Cache cache;
static Cache *volatile listed;
static volatile bool may_end;

NOINLINE static long look(const Cache *one)
{
    return one->hits[5];
}

static void *own(void *unused)
{
    case_name("owner");
    cache.hits[5] = 1;
    listed = &cache;
    while (!may_end)
        sched_yield();
    return unused;
}

static void *read(void *unused)
{
    case_name("reader");
    while (listed == nullptr)
        sched_yield();
    while (!case_stopped()) {
        case_sink = static_cast<uintptr_t>(look(listed));
        case_round();
    }
    return unused;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t owner, reader;
    pthread_create(&owner, nullptr, own, nullptr);
    pthread_create(&reader, nullptr, read, nullptr);
    case_await_from(0, 2);
    if (bug) {
        may_end = true;
        pthread_join(owner, nullptr);
        case_await(2);
    }
    case_tell_stop();
    pthread_join(reader, nullptr);
    may_end = true;
    if (!bug)
        pthread_join(owner, nullptr);
    return 0;
}
