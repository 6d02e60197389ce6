// At shutdown two workers take two mutexes in opposite order, and main joins them.
// EXPECT kind=hung-shutdown late=main destroyer=- touch=shut_down end=- birth=- start=- options=shutdown_timeout=1 says=a.cycle.of.2.threads
#include "case.h"

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static bool in_order;

NOINLINE static void lock_both(pthread_mutex_t *one, pthread_mutex_t *other)
{
    pthread_mutex_lock(one);
    if (!in_order)
        pthread_barrier_wait(&both);
    pthread_mutex_lock(other);
    pthread_mutex_unlock(other);
    pthread_mutex_unlock(one);
}

static void *work_forward(void *argument)
{
    case_name("forward");
    lock_both(&first, &second);
    return argument;
}

static void *work_backward(void *argument)
{
    case_name("backward");
    if (in_order)
        lock_both(&first, &second);
    else
        lock_both(&second, &first);
    return argument;
}

static pthread_t workers[2];

NOINLINE static void shut_down(void)
{
    pthread_join(workers[0], NULL);
    pthread_join(workers[1], NULL);
    case_sink++;
}

int main(int count, char **arguments)
{
    in_order = !case_is_bug(count, arguments);
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&workers[0], NULL, work_forward, NULL);
    pthread_create(&workers[1], NULL, work_backward, NULL);
    atexit(shut_down);
    return 0;
}
