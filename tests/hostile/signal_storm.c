/* A storm of real-time signals while threads allocate, free and fork. The handler does what POSIX
 * lets it do: it posts a semaphore that lies in the heap. With `bug` a late touch is reported while
 * the storm goes on. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 3

static sem_t *count;
static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    (void)sem_post(count);
    while (sem_trywait(count) == 0)
        ;
}

static void *work(void *argument)
{
    while (!stop) {
        char *volatile blocks[16];
        for (int i = 0; i < 16; i++)
            blocks[i] = malloc(64 + 16 * (size_t)i);
        for (int i = 0; i < 16; i++)
            free(blocks[i]);
    }
    return argument;
}

static void *fork_often(void *argument)
{
    long *bad = argument;
    while (!stop) {
        pid_t child = fork();
        if (child == 0) {
            free(malloc(100));
            _exit(5);
        }
        int status = 0;
        while (waitpid(child, &status, 0) < 0)
            ;
        *bad += !WIFEXITED(status) || WEXITSTATUS(status) != 5;
    }
    return NULL;
}

int main(int arguments_count, char **arguments)
{
    int bug = arguments_count > 1 && strcmp(arguments[1], "bug") == 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t threads[WORKERS + 1];
    long bad = 0;
    count = malloc(sizeof *count);
    (void)sem_init(count, 0, 0);
    (void)sigaction(SIGRTMIN, &action, NULL);
    char *volatile block = malloc(48);
    free(block);
    for (int i = 0; i < WORKERS; i++)
        (void)pthread_create(&threads[i], NULL, work, NULL);
    (void)pthread_create(&threads[WORKERS], NULL, fork_often, &bad);
    time_t end = time(NULL) + 2;
    for (long round = 0; time(NULL) < end; round++) {
        for (int i = 0; i < WORKERS; i++)
            (void)pthread_kill(threads[i], SIGRTMIN);
        if (round % 64 == 0) /* fork is begun again for every signal that comes in it */
            (void)pthread_kill(threads[WORKERS], SIGRTMIN);
        if (bug && round == 2000 && block[0] == 'z')
            puts("seen");
    }
    stop = 1;
    for (int i = 0; i <= WORKERS; i++)
        (void)pthread_join(threads[i], NULL);
    printf("bad children %ld\n", bad);
    return 0;
}
