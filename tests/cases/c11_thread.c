// A C11 thread uses a freed object.
// EXPECT kind=late-touch late=worker destroyer=main touch=use end=drop birth=main start=main
#include "case.h"

#include <threads.h>

NOINLINE static long use(const volatile long *data)
{
    return data[1];
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

static int run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        case_sink = (uintptr_t)use(argument);
        case_round();
    }
    return 0;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(4, sizeof *data);
    thrd_t thread;
    if (thrd_create(&thread, run, data) != thrd_success)
        return 3;
    case_await(2);
    if (!bug) {
        case_tell_stop();
        thrd_join(thread, NULL);
    }
    drop(data);
    if (bug)
        case_await(2);
    return 0;
}
