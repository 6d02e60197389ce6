// A shutdown takes longer than it may, and is let go on: told once, and no wait is interrupted.
// EXPECT kind=hung-shutdown late=main destroyer=- touch=clean_up end=- birth=- start=- exit=0 options=shutdown_timeout=1,shutdown_timeout_action=continue says=joins.thread
#include "case.h"

#include <poll.h>

static bool bug;
static pthread_t worker;

NOINLINE static void *finish(void *argument)
{
    struct timespec pause = {bug ? 3 : 0, 0};
    int ends[2];
    case_name("worker");
    if (pipe(ends) != 0)
        _exit(3);
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    if (ppoll(&one, 1, &pause, NULL) != 0) /* with EINTR, after a signal */
        _exit(4);
    return argument;
}

NOINLINE static void clean_up(void)
{
    pthread_join(worker, NULL);
    case_sink++;
}

int main(int count, char **arguments)
{
    bug = case_is_bug(count, arguments);
    atexit(clean_up);
    pthread_create(&worker, NULL, finish, NULL);
    return 0;
}
