// A thread writes to a freed block of a busy site: found afterwards, the writer is not known.
// EXPECT kind=late-write late=* destroyer=main touch=* end=drop birth=- start=-
#include "hot.h"

NOINLINE static void drop(volatile long *block)
{
    free((void *)block);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("writer");
    volatile long *block = argument;
    while (!case_stopped()) {
        block[1] = 42;
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *block = hot_allocate(80);
    pthread_t thread;
    pthread_create(&thread, NULL, run, block);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(block);
    if (bug) {
        case_await(2);
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
