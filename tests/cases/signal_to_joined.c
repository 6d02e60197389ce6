// A watchdog asks by pthread_kill whether a worker is alive that was joined.
// EXPECT kind=late-touch ended=yes late=watchdog destroyer=worker touch=is_alive end=work birth=main start=main says=handed.pthread_kill()
#include "case.h"

static pthread_t worker;
static volatile bool go;

NOINLINE static bool is_alive(void)
{
    return pthread_kill(worker, 0) == 0;
}

static void *work(void *unused)
{
    case_name("worker");
    return unused;
}

static void *watch(void *unused)
{
    case_name("watchdog");
    while (!go)
        sched_yield();
    case_sink = is_alive();
    return unused;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t watchdog;
    pthread_create(&worker, NULL, work, NULL);
    pthread_create(&watchdog, NULL, watch, NULL);
    usleep(5000); /* it has returned */
    if (bug)
        pthread_join(worker, NULL);
    go = true;
    pthread_join(watchdog, NULL);
    if (!bug)
        pthread_join(worker, NULL);
    return 0;
}
