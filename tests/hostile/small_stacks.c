/* Threads with the smallest stacks there are, 16 KiB, at work under the hooks, with cold objects
 * and handlers of signals. With `bug` one of them touches late. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *volatile shared;
static int bug;

static void on_signal(int number)
{
    (void)number;
}

static void *work(void *argument)
{
    (void)raise(SIGUSR1);
    for (int i = 0; i < 30; i++) {
        char *volatile block = malloc(50 + (size_t)i);
        block[0] = 'x';
        char *volatile more = realloc(block, 200);
        free(more);
    }
    pthread_setname_np(pthread_self(), "small");
    if (bug && shared[0] == 'z')
        puts("seen");
    return argument;
}

int main(int count, char **arguments)
{
    pthread_attr_t attributes;
    pthread_t threads[20];
    bug = count > 1 && strcmp(arguments[1], "bug") == 0;
    (void)signal(SIGUSR1, on_signal);
    shared = malloc(60);
    free(shared);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, 16384);
    for (int i = 0; i < 20; i++)
        if (pthread_create(&threads[i], &attributes, work, NULL) != 0)
            return 1;
    for (int i = 0; i < 20; i++)
        (void)pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}
