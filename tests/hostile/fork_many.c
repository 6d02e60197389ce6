/* Many threads fork at the same time, while others allocate; every child allocates, starts a thread
 * and leaves by exit. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int right;

static void *work(void *argument)
{
    for (int i = 0; i < 50; i++) {
        char *volatile block = malloc(100 + (size_t)i);
        block[0] = 'x';
        free(block);
    }
    return argument;
}

static void *fork_some(void *argument)
{
    for (int i = 0; i < 15; i++) {
        (void)work(NULL);
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            (void)work(NULL);
            if (pthread_create(&thread, NULL, work, NULL) == 0)
                (void)pthread_join(thread, NULL);
            exit(9);
        }
        int status = 0;
        if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9)
            right++;
    }
    return argument;
}

int main(void)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        (void)pthread_create(&threads[i], NULL, fork_some, NULL);
    for (int i = 0; i < 8; i++)
        (void)pthread_join(threads[i], NULL);
    printf("%d children\n", right);
    return 0;
}
