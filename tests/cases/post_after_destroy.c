// A thread posts a semaphore that main, done with waiting, has destroyed.
// EXPECT kind=use-after-destroy late=worker destroyer=main touch=tell end=drop start=main says=sem_post()
#include "case.h"

#include <semaphore.h>

static sem_t done;
static volatile bool may_go_on;

NOINLINE static void tell(void)
{
    sem_post(&done);
    case_sink++;
}

NOINLINE static void drop(void)
{
    sem_destroy(&done);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    tell();
    while (!may_go_on)
        sched_yield();
    if (argument != NULL)
        tell();
    case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    sem_init(&done, 0, 0);
    pthread_create(&thread, NULL, run, bug ? &done : NULL);
    sem_wait(&done);
    drop();
    may_go_on = true;
    pthread_join(thread, NULL);
    return 0;
}
