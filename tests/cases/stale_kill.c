// A monitor asks with pthread_kill(thread, 0) whether a worker lives, after main has joined it.
// EXPECT kind=stale-thread-handle late=monitor destroyer=main touch=is_alive end=stop_worker birth=main start=main says=pthread_kill
#include "case.h"

static pthread_t worker;

static void *work(void *argument)
{
    case_name("worker");
    return argument;
}

NOINLINE static bool is_alive(void)
{
    bool alive = pthread_kill(worker, 0) == 0;
    case_sink++;
    return alive;
}

static void *watch(void *argument)
{
    case_name("monitor");
    while (!case_stopped()) {
        case_sink += is_alive();
        case_round();
    }
    return argument;
}

NOINLINE static void stop_worker(void)
{
    pthread_join(worker, NULL);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t monitor;
    pthread_create(&worker, NULL, work, NULL);
    pthread_create(&monitor, NULL, watch, NULL);
    case_await(100); /* it may have ended: its handle is good until it is joined */
    if (bug) {
        stop_worker();
        case_await(2);
    }
    case_tell_stop();
    pthread_join(monitor, NULL);
    if (!bug)
        stop_worker();
    return 0;
}
