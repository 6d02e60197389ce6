// A thread waits in epoll_wait() while the array for its events is freed; the kernel then fails
// with EFAULT.
// EXPECT kind=late-touch late=loop destroyer=main touch=turn end=drop birth=main start=main
#include "case.h"

#include <sys/epoll.h>

static int ends[2], watch;

NOINLINE static int turn(struct epoll_event *events)
{
    int got = epoll_wait(watch, events, 8, -1);
    case_sink = (uintptr_t)got;
    return got;
}

NOINLINE static void drop(struct epoll_event *events)
{
    free(events);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("loop");
    case_round();
    turn(argument);
    case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    struct epoll_event *events = malloc(8 * sizeof *events), wanted = {.events = EPOLLIN};
    pthread_t thread;
    watch = epoll_create1(0);
    if (pipe(ends) != 0 || watch < 0 || epoll_ctl(watch, EPOLL_CTL_ADD, ends[0], &wanted) != 0)
        return 3;
    pthread_create(&thread, NULL, run, events);
    if (bug)
        drop(events);
    if (write(ends[1], "go", 2) != 2)
        return 3;
    pthread_join(thread, NULL);
    if (!bug)
        drop(events);
    return 0;
}
