/* Lock stress: threads (four) lock and unlock: each its own mutex, all the same one, a rwlock that
 * few write, or two and two that wake each other through condition variables. Usage: lock_stress
 * own|shared|rwlock|pingpong [ITERATIONS [THREADS]] */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MOST = 1000, APART = 128 /* bytes: no two share what the processor fetches */ };

static long iterations;
static volatile long counter;

struct pair {
    _Alignas(APART) pthread_mutex_t mutex;
    pthread_cond_t turned;
    int turn;
};

static struct pair pairs[THREADS_MOST];
static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *lock_own(void *number)
{
    pthread_mutex_t *mutex = &pairs[(uintptr_t)number].mutex;
    for (long i = 0; i < iterations; i++) {
        pthread_mutex_lock(mutex);
        pthread_mutex_unlock(mutex);
    }
    return NULL;
}

static void *lock_shared(void *number)
{
    for (long i = 0; i < iterations; i++) {
        pthread_mutex_lock(&shared);
        counter++;
        pthread_mutex_unlock(&shared);
    }
    return number;
}

static void *lock_rwlock(void *number)
{
    for (long i = 0; i < iterations; i++) {
        if (i % 64 == 0)
            pthread_rwlock_wrlock(&rwlock);
        else
            pthread_rwlock_rdlock(&rwlock);
        pthread_rwlock_unlock(&rwlock);
    }
    return number;
}

static void *pass_turns(void *number)
{
    struct pair *pair = &pairs[(uintptr_t)number / 2];
    int own = (int)((uintptr_t)number % 2);
    for (long i = 0; i < iterations; i++) {
        pthread_mutex_lock(&pair->mutex);
        while (pair->turn != own)
            pthread_cond_wait(&pair->turned, &pair->mutex);
        pair->turn = !own;
        pthread_cond_signal(&pair->turned);
        pthread_mutex_unlock(&pair->mutex);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void *(*run)(void *);
        long iterations;
    } works[] = {{"own", lock_own, 10000000},
                 {"shared", lock_shared, 2000000},
                 {"rwlock", lock_rwlock, 1000000},
                 {"pingpong", pass_turns, 100000}};
    static pthread_t threads[THREADS_MOST];
    void *(*run)(void *) = NULL;
    uintptr_t used = 4;
    for (size_t i = 0; count > 1 && i < sizeof works / sizeof *works; i++)
        if (strcmp(arguments[1], works[i].name) == 0) {
            run = works[i].run;
            iterations = works[i].iterations;
        }
    if (count > 2)
        iterations = atol(arguments[2]);
    if (count > 3)
        used = (uintptr_t)atol(arguments[3]);
    if (run == NULL || used > THREADS_MOST)
        return 2;
    for (uintptr_t i = 0; i < used; i++) {
        pthread_mutex_init(&pairs[i].mutex, NULL);
        pthread_cond_init(&pairs[i].turned, NULL);
    }
    for (uintptr_t i = 0; i < used; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
            return 1;
    for (uintptr_t i = 0; i < used; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
