// A thread is cancelled, which is only a request, and its data is freed without a join.
// EXPECT kind=late-touch late=reader destroyer=main touch=use end=drop birth=main start=main
#include "case.h"

NOINLINE static long use(const volatile long *data)
{
    return data[3];
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    while (!case_stopped()) {
        case_sink = (uintptr_t)use(argument);
        case_round();
    }
    pthread_testcancel();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(8, sizeof *data);
    pthread_t thread;
    pthread_create(&thread, NULL, run, data);
    case_await(2);
    pthread_cancel(thread);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(data);
    if (bug)
        case_await(2);
    return 0;
}
