// A thread asks with select() for a pipe that another one has closed: bare, the kernel refuses.
// EXPECT kind=use-after-close grade=possible exit=0 late=asker destroyer=main touch=ask end=drop birth=main start=main says=select()
#include "case.h"

#include <errno.h>
#include <sys/select.h>

static int ends[2];
static bool refused;

NOINLINE static int ask(int number)
{
    fd_set watched;
    struct timeval now = {0, 0};
    FD_ZERO(&watched);
    FD_SET(number, &watched);
    return select(number + 1, &watched, NULL, NULL, &now);
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    pthread_setname_np(pthread_self(), "asker");
    refused = ask(ends[0]) == -1 && errno == EBADF;
    case_sink++;
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    if (pipe(ends) != 0)
        return 3;
    if (bug)
        drop(ends[0]);
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, NULL);
    return refused == bug ? 0 : 4;
}
