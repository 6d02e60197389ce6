// A SIGEV_THREAD timer goes on firing after its data was freed.
// EXPECT kind=late-touch late=* destroyer=main touch=tick end=drop birth=main start=main
#include "case.h"

NOINLINE static void tick(union sigval value)
{
    const volatile long *data = value.sival_ptr;
    case_sink = (uintptr_t)data[2];
    case_round();
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(8, sizeof *data);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = tick,
                             .sigev_value = {.sival_ptr = data}};
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &every, NULL) != 0)
        return 3;
    case_await(2);
    if (bug) {
        drop(data);
        case_await(2);
    } else {
        /* One that is under way may still come: the data is left to the process' end. */
        timer_delete(timer);
    }
    return 0;
}
