// Exit in a signal handler: main joins a thread that joins another, which joins main.
// EXPECT kind=hung-shutdown late=main destroyer=- touch=clean_up end=- birth=- start=- options=shutdown_timeout=1 says=a.cycle.of.3.threads
#include "case.h"

static pthread_t self, first, second;
static bool bug;

static void *join_main(void *argument)
{
    case_name("second");
    while (!case_stopped())
        case_round();
    if (bug)
        pthread_join(self, NULL);
    return argument;
}

static void *join_second(void *argument)
{
    case_name("first");
    pthread_join(second, NULL);
    return argument;
}

NOINLINE static void clean_up(void)
{
    case_tell_stop();
    pthread_join(first, NULL);
    case_sink++;
}

static void on_signal(int number)
{
    (void)number;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    exit(0);
}

int main(int count, char **arguments)
{
    bug = case_is_bug(count, arguments);
    self = pthread_self();
    atexit(clean_up);
    signal(SIGTERM, on_signal);
    pthread_create(&second, NULL, join_main, NULL);
    pthread_create(&first, NULL, join_second, NULL);
    case_await(2);
    raise(SIGTERM);
    return 0;
}
