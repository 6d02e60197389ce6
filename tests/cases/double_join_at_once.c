// Two threads wait for the end of the same thread.
// EXPECT kind=double-join late=second destroyer=first touch=wait_second end=wait_first birth=main start=main says=is.joining
#include "waits.h"

static pthread_t worker;

static void *work(void *argument)
{
    case_name("worker");
    while (!case_stopped())
        case_round();
    return argument;
}

NOINLINE static void *wait_first(void *nothing)
{
    case_name("first");
    waits_note();
    pthread_join(worker, NULL);
    case_sink++;
    return nothing;
}

NOINLINE static void *wait_second(void *bug)
{
    case_name("second");
    if (bug != NULL)
        pthread_join(worker, NULL);
    case_sink++;
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t first, second;
    pthread_create(&worker, NULL, work, NULL);
    pthread_create(&first, NULL, wait_first, NULL);
    case_await(2);
    while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    waits_await(SYS_futex);
    pthread_create(&second, NULL, wait_second, bug ? &worker : NULL);
    pthread_join(second, NULL);
    case_tell_stop();
    pthread_join(first, NULL);
    return 0;
}
