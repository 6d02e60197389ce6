// A thread counts in a freed structure: the write itself traps.
// EXPECT kind=late-touch late=counter destroyer=main touch=count_up end=drop birth=main start=main
#include "case.h"

struct counters {
    volatile long served, failed;
};

NOINLINE static void count_up(struct counters *counters)
{
    counters->failed++;
}

NOINLINE static void drop(struct counters *counters)
{
    free(counters);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("counter");
    while (!case_stopped()) {
        count_up(argument);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    struct counters *counters = malloc(sizeof *counters);
    counters->failed = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, run, counters);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(counters);
    if (bug)
        case_await(2);
    return 0;
}
