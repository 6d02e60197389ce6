// A detached worker locks the mutex of a global object that exit has destroyed; no heap memory and
// no pointer is in it.
// EXPECT kind=late-touch stripped=late-touch stripped_grade=possible late=worker destroyer=main touch=count end=~Statistics start=main says=pthread_mutex_
#include "case.h"

#include <thread>

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

class Statistics
{
  public:
    NOINLINE ~Statistics()
    {
        pthread_mutex_lock(&mutex);
        case_sink = (uintptr_t)queries;
        pthread_mutex_unlock(&mutex);
    }
    NOINLINE void count()
    {
        pthread_mutex_lock(&mutex);
        queries++;
        pthread_mutex_unlock(&mutex);
        case_sink = 1; /* no tail call: the function stays on the stack */
    }

  private:
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    long queries = 0;
};

static Statistics statistics;

static void work()
{
    case_name("worker");
    while (!case_stopped()) {
        statistics.count();
        case_round();
    }
    case_rounds = 1000000;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    std::thread(work).detach();
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    return 0;
}
