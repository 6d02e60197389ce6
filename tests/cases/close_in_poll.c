// A pipe is closed while a thread waits for it in poll().
// EXPECT kind=close-while-in-use grade=imminent exit=0 late=poller destroyer=main touch=await end=drop birth=main start=main says=poll()
#include "waits.h"

#include <poll.h>

static int ends[2], other[2];

NOINLINE static void await(void)
{
    struct pollfd watched[2] = {{other[0], POLLIN, 0}, {ends[0], POLLIN, 0}};
    case_sink = (uintptr_t)poll(watched, 2, -1);
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("poller");
    waits_note();
    await();
    case_sink++;
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    if (pipe(ends) != 0 || pipe(other) != 0)
        return 3;
    pthread_create(&thread, NULL, run, NULL);
    waits_await(SYS_poll);
    if (bug)
        drop(ends[0]);
    if (write(other[1], "x", 1) != 1)
        return 3;
    pthread_join(thread, NULL);
    if (!bug)
        drop(ends[0]);
    return 0;
}
