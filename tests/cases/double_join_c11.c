// A C11 thread is joined twice by the thread that started it.
// EXPECT kind=double-join late=main destroyer=main touch=finish end=main birth=main start=- says=itself
#include "case.h"

#include <threads.h>

static int work(void *argument)
{
    case_name("worker");
    return argument == NULL;
}

NOINLINE static void finish(thrd_t worker)
{
    thrd_join(worker, NULL);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    thrd_t worker;
    thrd_create(&worker, work, NULL);
    thrd_join(worker, NULL);
    if (bug)
        finish(worker);
    return 0;
}
