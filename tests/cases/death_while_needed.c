// A thread has told that it needs a queue in static storage until its end; the queue is told dead
// while the thread lives.
// EXPECT kind=death-while-needed grade=imminent exit=0 late=worker destroyer=main touch=run end=drop birth=make start=main says=needs.a.32-byte.object.'queue'
#include "case.h"

#include <outlive.h>

static struct queue {
    long items[4];
} queue;

NOINLINE static void make(void)
{
    outlive_born(&queue, sizeof queue, "queue");
    case_sink++;
}

NOINLINE static void drop(void)
{
    outlive_died(&queue);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    outlive_thread_needs(&queue);
    while (!case_stopped())
        case_round();
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    make();
    pthread_create(&thread, NULL, run, NULL);
    case_await_from(0, 1);
    if (bug)
        drop();
    case_tell_stop();
    pthread_join(thread, NULL);
    if (!bug)
        drop();
    return 0;
}
