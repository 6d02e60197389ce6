// A C11 mutex is destroyed while another thread holds it.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=worker destroyer=main touch=enter end=drop start=main says=mtx_destroy()
#include "case.h"

#include <threads.h>

static mtx_t mutex;

NOINLINE static void enter(void)
{
    mtx_lock(&mutex);
    case_sink++;
}

NOINLINE static void drop(void)
{
    mtx_destroy(&mutex);
    case_sink++;
}

static int run(void *argument)
{
    (void)argument;
    case_name("worker");
    enter();
    case_round();
    while (!case_stopped())
        sched_yield();
    mtx_unlock(&mutex);
    return 0;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    thrd_t thread;
    mtx_init(&mutex, mtx_plain);
    thrd_create(&thread, run, NULL);
    case_await_from(0, 1);
    if (bug) {
        drop();
        exit(0);
    }
    case_tell_stop();
    thrd_join(thread, NULL);
    drop();
    return 0;
}
