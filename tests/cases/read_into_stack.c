// A reader is handed a buffer on the stack of a worker that has returned and was joined.
// EXPECT kind=late-touch ended=yes late=reader destroyer=worker touch=fill end=work birth=main start=main says=read().was.given.address
#include "case.h"

static char *volatile shared;
static int ends[2];
static volatile bool go;

NOINLINE static void publish(char *buffer)
{
    buffer[0] = 'x';
    shared = buffer;
}

NOINLINE static void fill(void)
{
    case_sink = (uintptr_t)read(ends[0], shared, 3);
    case_round();
}

static void *work(void *unused)
{
    char buffer[64];
    case_name("worker");
    publish(buffer);
    while (!case_stopped())
        sched_yield();
    return unused;
}

static void *read_late(void *unused)
{
    case_name("reader");
    while (!go)
        sched_yield();
    fill();
    return unused;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t worker, reader;
    if (pipe(ends) != 0 || write(ends[1], "abc", 3) != 3)
        return 1;
    pthread_create(&worker, NULL, work, NULL);
    pthread_create(&reader, NULL, read_late, NULL);
    while (shared == NULL)
        sched_yield();
    if (bug) {
        case_tell_stop();
        pthread_join(worker, NULL);
    }
    go = true;
    pthread_join(reader, NULL);
    case_tell_stop();
    if (!bug)
        pthread_join(worker, NULL);
    return 0;
}
