/* Threads that wait for all that threads wait for, until the process exits: what is told of them is
 * looked at by check-threads. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static pthread_t reader;
static int ends[2];
static volatile int tid;

static void note(const char *name)
{
    pthread_setname_np(pthread_self(), name);
    __atomic_store_n(&tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
}

static void *wait_for_mutex(void *nothing)
{
    note("mutex");
    pthread_mutex_lock(&mutex);
    return nothing;
}

static void *wait_for_signal(void *nothing)
{
    note("condition");
    pthread_mutex_lock(&other);
    pthread_cond_wait(&condition, &other);
    return nothing;
}

static void *wait_for_lock(void *nothing)
{
    note("rwlock");
    pthread_rwlock_rdlock(&lock);
    return nothing;
}

static void *wait_for_post(void *nothing)
{
    note("semaphore");
    sem_wait(&semaphore);
    return nothing;
}

static void *wait_for_data(void *nothing)
{
    char byte;
    note("read");
    if (read(ends[0], &byte, 1) != 1)
        abort();
    return nothing;
}

static void *wait_for_some(void *nothing)
{
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    note("poll");
    (void)poll(&one, 1, -1);
    return nothing;
}

static void *wait_for_end(void *nothing)
{
    note("join");
    pthread_join(reader, NULL);
    return nothing;
}

/* Until it sleeps in the kernel (proc(5)). */
static void start(pthread_t *thread, void *(*entry)(void *))
{
    char path[64], line[64] = "running";
    __atomic_store_n(&tid, 0, __ATOMIC_SEQ_CST);
    pthread_create(thread, NULL, entry, NULL);
    while (__atomic_load_n(&tid, __ATOMIC_SEQ_CST) == 0)
        usleep(1000);
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    while (strncmp(line, "running", 7) == 0) {
        usleep(10000);
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(line, sizeof line, file) == NULL)
            exit(3);
        fclose(file);
    }
}

int main(void)
{
    pthread_t thread;
    sem_init(&semaphore, 0, 0);
    pthread_mutex_lock(&mutex);
    pthread_rwlock_wrlock(&lock);
    if (pipe(ends) != 0)
        return 3;
    start(&thread, wait_for_mutex);
    start(&thread, wait_for_signal);
    pthread_detach(thread);
    start(&thread, wait_for_lock);
    start(&thread, wait_for_post);
    start(&thread, wait_for_some);
    start(&reader, wait_for_data);
    start(&thread, wait_for_end);
    usleep(50000);
    return 0;
}
