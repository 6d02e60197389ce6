// A thread is cancelled while it waits for a condition, which takes the mutex again first. The twin
// has a cleanup handler.
// EXPECT kind=lock-held-at-end grade=imminent exit=0 late=worker touch=serve start=main says=was.cancelled
#include "case.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

static void unlock(void *argument)
{
    if (argument != NULL)
        pthread_mutex_unlock(argument);
}

NOINLINE static void serve(void *clean)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, clean);
    case_round();
    while (!case_stopped())
        pthread_cond_wait(&work, &mutex);
    pthread_cleanup_pop(0);
}

static void *run(void *argument)
{
    case_name("worker");
    serve(argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, run, bug ? NULL : &mutex);
    case_await_from(0, 1);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    return 0;
}
