// A thread asks for the value of a semaphore that main has destroyed.
// EXPECT kind=use-after-destroy late=worker destroyer=main touch=ask end=drop start=main says=sem_getvalue()
#include "case.h"

#include <semaphore.h>

static sem_t ready;

NOINLINE static void ask(void)
{
    int value = 0;
    sem_getvalue(&ready, &value);
    case_sink += (uintptr_t)value;
}

NOINLINE static void drop(void)
{
    sem_destroy(&ready);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        ask();
        case_round();
    }
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    sem_init(&ready, 0, 1);
    pthread_create(&thread, NULL, run, NULL);
    case_await_from(0, 2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop();
    if (bug)
        case_await(2);
    return 0;
}
