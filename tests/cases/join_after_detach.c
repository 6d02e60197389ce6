// A thread is detached, and yet joined at shutdown.
// EXPECT kind=join-after-detach late=main destroyer=main touch=shut_down end=let_go birth=main start=- says=runs
#include "case.h"

static void *work(void *argument)
{
    case_name("worker");
    while (!case_stopped())
        case_round();
    return argument;
}

NOINLINE static void let_go(pthread_t worker)
{
    pthread_detach(worker);
    case_sink++;
}

NOINLINE static void shut_down(pthread_t worker)
{
    pthread_join(worker, NULL);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t worker;
    pthread_create(&worker, NULL, work, NULL);
    if (bug)
        let_go(worker);
    case_await(2);
    if (!bug)
        case_tell_stop();
    shut_down(worker);
    return 0;
}
