// A thread locks a mutex in a freed block of a busy site: poison in the lock must not hang it.
// EXPECT kind=late-touch late=worker destroyer=main touch=enter end=drop birth=- start=main
#include "hot.h"

struct gate {
    pthread_mutex_t lock;
    long passed;
};

NOINLINE static void enter(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    pthread_mutex_unlock(&gate->lock);
    case_sink++;
}

NOINLINE static void drop(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock); /* accidental order is no order */
    pthread_mutex_unlock(&gate->lock);
    free(gate);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        enter(argument);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    struct gate *gate = hot_allocate(sizeof *gate);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, run, gate);
    case_await(2);
    if (bug) {
        case_hold_between();
    } else {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(gate);
    if (bug) {
        case_go_on();
        case_await(2);
    }
    return 0;
}
