// Exit from a detached thread, with all signals blocked in all threads: it joins a reader, to which
// nobody writes.
// EXPECT kind=hung-shutdown late=closer destroyer=- touch=clean_up end=- birth=- start=main options=shutdown_timeout=1 says=waits.in.read().on.descriptor
#include "waits.h"

static pthread_t reader;
static int ends[2];
static bool bug;

static void *read_on(void *argument)
{
    char byte;
    case_name("reader");
    waits_note();
    case_sink = (uintptr_t)read(ends[0], &byte, 1);
    return argument;
}

NOINLINE static void clean_up(void)
{
    if (!bug)
        case_sink = (uintptr_t)write(ends[1], "", 1);
    pthread_join(reader, NULL);
    case_sink++;
}

static void *close_down(void *argument)
{
    case_name("closer");
    (void)argument;
    exit(0);
}

int main(int count, char **arguments)
{
    bug = case_is_bug(count, arguments);
    pthread_t closer;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (pipe(ends) != 0)
        return 3;
    atexit(clean_up);
    pthread_create(&reader, NULL, read_on, NULL);
    while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    waits_await(SYS_read);
    pthread_create(&closer, NULL, close_down, NULL);
    pthread_detach(closer);
    for (;;)
        pause();
}
