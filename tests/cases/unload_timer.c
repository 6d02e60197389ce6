// A timer goes on calling a function of a library that is closed.
// LIBRARY
// EXPECT kind=use-after-unload late=* destroyer=main touch=* end=drop birth=load reports=2 says=is.still.what.a.timer.calls
#include "unload.h"

#ifdef CASE_LIBRARY
NOINLINE void tick(union sigval value)
{
    __atomic_fetch_add((unsigned *)value.sival_ptr, 1, __ATOMIC_SEQ_CST);
}
#else
int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void *library = load();
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_value = {.sival_ptr = (void *)&case_rounds}};
    struct itimerspec later = {{10, 0}, {0, 300000000}};
    unload_find(library, "tick", event.sigev_notify_function);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &later, NULL) != 0)
        return 3;
    if (!bug)
        timer_delete(timer);
    drop(library);
    if (bug)
        case_await(1);
    return 0;
}
#endif
