// A semaphore is destroyed while a thread waits for it.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=waiter destroyer=main touch=fetch end=drop start=main says=waits.in.sem_wait
#include "waits.h"

#include <semaphore.h>

static sem_t ready;

NOINLINE static void fetch(void)
{
    sem_wait(&ready);
    case_sink++;
}

NOINLINE static void drop(void)
{
    sem_destroy(&ready);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("waiter");
    waits_note();
    fetch();
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    sem_init(&ready, 0, 0);
    pthread_create(&thread, NULL, run, NULL);
    waits_await(SYS_futex);
    if (bug) {
        drop();
        exit(0);
    }
    sem_post(&ready);
    pthread_join(thread, NULL);
    drop();
    return 0;
}
