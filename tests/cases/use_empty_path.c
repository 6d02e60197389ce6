// A worker changes the owner of a descriptor, named by an empty path, that main has closed.
// EXPECT kind=use-after-close late=worker destroyer=main touch=change end=drop start=main says=fchownat()
#include "case.h"

#include <errno.h>
#include <fcntl.h>

static int number;

NOINLINE static void change(void)
{
    if (fchownat(number, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH) == -1 && errno != EBADF)
        _exit(20);
    case_sink++;
}

NOINLINE static void drop(void)
{
    close(number);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        change();
        case_round();
    }
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    number = open("/dev/null", O_RDONLY);
    pthread_create(&thread, NULL, run, NULL);
    case_await_from(0, 2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop();
    if (bug)
        case_await(2);
    return 0;
}
