// A block is freed while another thread holds the mutex in it; the mutex was never destroyed.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=worker destroyer=main touch=enter end=drop birth=main start=main says=main.*frees
#include "case.h"

struct account {
    long balance;
    pthread_mutex_t mutex;
};

NOINLINE static void enter(struct account *account)
{
    pthread_mutex_lock(&account->mutex);
    case_sink++;
}

NOINLINE static void drop(struct account *account)
{
    free(account);
    case_sink++;
}

static void *run(void *argument)
{
    struct account *account = argument;
    case_name("worker");
    enter(account);
    case_round();
    while (!case_stopped())
        sched_yield();
    pthread_mutex_unlock(&account->mutex);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    struct account *account = calloc(1, sizeof *account);
    pthread_t thread;
    pthread_mutex_init(&account->mutex, NULL);
    pthread_create(&thread, NULL, run, account);
    case_await_from(0, 1);
    if (bug) {
        drop(account);
        exit(0);
    }
    case_tell_stop();
    pthread_join(thread, NULL);
    drop(account);
    return 0;
}
