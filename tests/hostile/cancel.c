/* Asynchronous cancellation of threads that are inside hooks: sem_post on a semaphore in the heap,
 * with `bug` also malloc and free, every one guarded. Their cleanup handlers free what they own:
 * these frees are seen (`bug`: touched late), and nothing hangs. Then deferred cancellation in
 * calls that wait. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static sem_t *semaphore;
static char *volatile owned;
static int bug;

static void clean(void *block)
{
    free(block);
}

static void *post(void *argument)
{
    char *block = malloc(64);
    owned = block;
    pthread_cleanup_push(clean, block);
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;) {
        (void)sem_post(semaphore);
        (void)sem_trywait(semaphore);
        if (bug) {
            char *volatile other = malloc(64);
            free(other);
        }
    }
    pthread_cleanup_pop(1);
    return argument;
}

static void *wait_for_ever(void *argument)
{
    sem_t *never = argument;
    char *block = malloc(64);
    pthread_cleanup_push(clean, block);
    (void)sem_wait(never);
    pthread_cleanup_pop(1);
    return NULL;
}

static int cancel_one(void *(*entry)(void *), void *argument, long nanoseconds)
{
    pthread_t thread;
    void *result = NULL;
    struct timespec pause = {0, nanoseconds};
    if (pthread_create(&thread, NULL, entry, argument) != 0)
        return 0;
    (void)nanosleep(&pause, NULL);
    (void)pthread_cancel(thread);
    (void)pthread_join(thread, &result);
    return result == PTHREAD_CANCELED;
}

int main(int count, char **arguments)
{
    int cancelled = 0;
    sem_t never;
    bug = count > 1 && strcmp(arguments[1], "bug") == 0;
    semaphore = malloc(sizeof *semaphore);
    (void)sem_init(semaphore, 0, 0);
    (void)sem_init(&never, 0, 0);
    for (int i = 0; i < 300; i++)
        cancelled += cancel_one(post, NULL, 1000000 + i * 1000);
    for (int i = 0; i < 100; i++)
        cancelled += cancel_one(wait_for_ever, &never, 100000);
    printf("%d cancelled\n", cancelled);
    (void)fflush(stdout);
    return bug ? owned[0] == 'z' : 0;
}
