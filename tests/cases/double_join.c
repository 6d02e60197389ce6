// A thread is joined by the one that started it, and again by another that was given its handle.
// EXPECT kind=double-join late=closer destroyer=main touch=wait_again end=wait_first birth=main start=main says=First
#include "case.h"

static pthread_t worker;

static void *work(void *argument)
{
    case_name("worker");
    return argument;
}

NOINLINE static void wait_first(void)
{
    pthread_join(worker, NULL);
    case_sink++;
}

NOINLINE static void wait_again(void)
{
    pthread_join(worker, NULL);
    case_sink += 2; /* no copy of the other */
}

static void *close_down(void *bug)
{
    case_name("closer");
    while (!case_stopped()) /* it was there before: the worker's handle is not its own */
        case_round();
    if (bug != NULL)
        wait_again();
    case_sink++;
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t closer;
    pthread_create(&worker, NULL, work, NULL);
    pthread_create(&closer, NULL, close_down, bug ? &worker : NULL);
    case_await(1);
    wait_first();
    case_tell_stop();
    pthread_join(closer, NULL);
    return 0;
}
