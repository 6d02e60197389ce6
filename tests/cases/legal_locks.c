// What may be done with locks: the next owner destroys one and takes its memory away at once,
// initialises them anew in every way, hands them over, and leaves held ones to exit and to fork.
// EXPECT silent
#include "case.h"

#include <errno.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>

enum { ROUNDS = 60 };

/* In a page of its own: a look after the release faults. */
struct shared {
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
    pthread_cond_t condition;
    sem_t semaphore;
    pthread_barrier_t barrier;
    pthread_spinlock_t spin;
    mtx_t c11;
    bool done;
};

static struct shared *make(void)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_rwlock_init(&shared->rwlock, NULL);
    pthread_cond_init(&shared->condition, NULL);
    sem_init(&shared->semaphore, 0, 0);
    pthread_barrier_init(&shared->barrier, NULL, 2);
    pthread_spin_init(&shared->spin, 0);
    mtx_init(&shared->c11, mtx_plain);
    return shared;
}

static void *unlock_last(void *argument)
{
    struct shared *shared = argument;
    pthread_mutex_lock(&shared->mutex);
    shared->done = true;
    pthread_mutex_unlock(&shared->mutex);
    return NULL;
}

static void *unlock_written(void *argument)
{
    struct shared *shared = argument;
    pthread_rwlock_wrlock(&shared->rwlock);
    shared->done = true;
    pthread_rwlock_unlock(&shared->rwlock);
    return NULL;
}

static void *unlock_spin(void *argument)
{
    struct shared *shared = argument;
    pthread_spin_lock(&shared->spin);
    shared->done = true;
    pthread_spin_unlock(&shared->spin);
    return NULL;
}

static void *unlock_c11(void *argument)
{
    struct shared *shared = argument;
    mtx_lock(&shared->c11);
    shared->done = true;
    mtx_unlock(&shared->c11);
    return NULL;
}

static void *post(void *argument)
{
    sem_post(&((struct shared *)argument)->semaphore);
    return NULL;
}

static void *meet(void *argument)
{
    pthread_barrier_wait(&((struct shared *)argument)->barrier);
    return NULL;
}

static void *wait_told(void *argument)
{
    struct shared *shared = argument;
    pthread_mutex_lock(&shared->mutex);
    while (!shared->done)
        pthread_cond_wait(&shared->condition, &shared->mutex);
    pthread_mutex_unlock(&shared->mutex);
    return NULL;
}

/* The thread's last act is to release; who comes next ends the lock and its page. */
static void next_owner(void *(*run)(void *))
{
    struct shared *shared = make();
    pthread_t thread;
    pthread_create(&thread, NULL, run, shared);
    bool done = false;
    if (run == post) {
        sem_wait(&shared->semaphore);
        sem_destroy(&shared->semaphore);
        pthread_join(thread, NULL); /* older kernels and libcs: it may still wake others */
        munmap(shared, sizeof *shared);
        return;
    } else if (run == meet) {
        pthread_barrier_wait(&shared->barrier);
        pthread_barrier_destroy(&shared->barrier);
    }
    while (!done && run != post && run != meet) {
        if (run == unlock_written)
            pthread_rwlock_rdlock(&shared->rwlock);
        else if (run == unlock_spin)
            pthread_spin_lock(&shared->spin);
        else if (run == unlock_c11)
            mtx_lock(&shared->c11);
        else
            pthread_mutex_lock(&shared->mutex);
        done = shared->done;
        if (run == unlock_written)
            pthread_rwlock_unlock(&shared->rwlock);
        else if (run == unlock_spin)
            pthread_spin_unlock(&shared->spin);
        else if (run == unlock_c11)
            mtx_unlock(&shared->c11);
        else
            pthread_mutex_unlock(&shared->mutex);
    }
    if (run == unlock_written)
        pthread_rwlock_destroy(&shared->rwlock);
    else if (run == unlock_spin)
        pthread_spin_destroy(&shared->spin);
    else if (run == unlock_c11)
        mtx_destroy(&shared->c11);
    else if (run == unlock_last)
        pthread_mutex_destroy(&shared->mutex);
    munmap(shared, sizeof *shared);
    pthread_join(thread, NULL);
}

/* The condition variable goes when all were told; its mutex when all have left. */
static void told(void)
{
    struct shared *shared = make();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, wait_told, shared);
    pthread_mutex_lock(&shared->mutex);
    shared->done = true;
    pthread_cond_broadcast(&shared->condition);
    pthread_mutex_unlock(&shared->mutex);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&shared->condition);
    pthread_join(threads[2], NULL);
    pthread_mutex_destroy(&shared->mutex);
    munmap(shared, sizeof *shared);
}

static void make_anew(struct shared *shared)
{
    for (int i = 0; i < 4; i++) {
        pthread_mutex_destroy(&shared->mutex);
        pthread_rwlock_destroy(&shared->rwlock);
        pthread_cond_destroy(&shared->condition);
        pthread_rwlock_destroy(&shared->rwlock); /* twice does nothing */
        if (i == 0) {
            memset(shared, 0, sizeof *shared);
        } else if (i == 1) {
            shared->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
            shared->rwlock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
            shared->condition = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
        } else {
            pthread_mutex_init(&shared->mutex, NULL);
            pthread_rwlock_init(&shared->rwlock, NULL);
            pthread_cond_init(&shared->condition, NULL);
        }
        pthread_mutex_lock(&shared->mutex);
        pthread_mutex_unlock(&shared->mutex);
        pthread_rwlock_wrlock(&shared->rwlock);
        pthread_rwlock_unlock(&shared->rwlock);
        pthread_cond_broadcast(&shared->condition);
    }
}

static void anew_in_all_memory(void)
{
    struct shared *shared = make(), on_stack;
    make_anew(shared);
    munmap(shared, sizeof *shared);
    memset(&on_stack, 0, sizeof on_stack);
    make_anew(&on_stack);
    for (int i = 0; i < 20; i++) {
        struct shared *block = calloc(1, sizeof *block);
        make_anew(block);
        sem_init(&block->semaphore, 0, 1);
        sem_destroy(&block->semaphore);
        sem_init(&block->semaphore, 0, 1);
        sem_wait(&block->semaphore);
        sem_destroy(&block->semaphore);
        free(block);
    }
}

static pthread_mutex_t handed = PTHREAD_MUTEX_INITIALIZER, robust, left = PTHREAD_MUTEX_INITIALIZER;

static void *take_over(void *argument)
{
    pthread_mutex_lock(&handed);
    case_round();
    while (case_rounds_now() < 2) /* until another thread has unlocked it */
        sched_yield();
    return argument;
}

static void *die_robustly(void *argument)
{
    pthread_mutex_lock(&robust);
    return argument;
}

static void *hold_for_good(void *argument)
{
    pthread_mutex_lock(&left);
    case_round();
    for (;;)
        pause();
    return argument;
}

static void types(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t recursive;
    pthread_t thread;
    case_rounds = 0;
    pthread_create(&thread, NULL, take_over, NULL);
    case_await_from(0, 1);
    pthread_mutex_unlock(&handed);
    case_round();
    pthread_join(thread, NULL);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    for (int i = 0; i < 3; i++)
        pthread_mutex_lock(&recursive);
    for (int i = 0; i < 3; i++)
        pthread_mutex_unlock(&recursive);
    pthread_mutex_destroy(&recursive);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_create(&thread, NULL, die_robustly, NULL);
    pthread_join(thread, NULL);
    if (pthread_mutex_lock(&robust) != EOWNERDEAD)
        exit(3);
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);
    pthread_mutex_destroy(&robust);
}

static pthread_mutex_t forked = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t forked_rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void prepare(void)
{
    pthread_mutex_lock(&forked);
    pthread_rwlock_rdlock(&forked_rwlock);
}

static void in_parent(void)
{
    pthread_rwlock_unlock(&forked_rwlock);
    pthread_mutex_unlock(&forked);
}

static void in_child(void)
{
    pthread_mutex_destroy(&forked);
    pthread_mutex_destroy(&left);
    pthread_rwlock_destroy(&forked_rwlock);
    pthread_mutex_init(&forked, NULL);
}

int main(int count, char **arguments)
{
    void *(*const acts[])(void *) = {unlock_last, unlock_written, unlock_spin,
                                     unlock_c11,  post,           meet};
    pthread_t thread;
    int status = 0;
    (void)case_is_bug(count, arguments);
    for (int i = 0; i < ROUNDS; i++)
        next_owner(acts[i % 6]);
    for (int i = 0; i < ROUNDS / 4; i++)
        told();
    anew_in_all_memory();
    types();
    case_rounds = 0;
    pthread_create(&thread, NULL, hold_for_good, NULL);
    case_await_from(0, 1);
    pthread_atfork(prepare, in_parent, in_child);
    pid_t child = fork();
    if (child == 0)
        _exit(pthread_mutex_lock(&forked));
    waitpid(child, &status, 0);
    return status; /* with a lock held */
}
