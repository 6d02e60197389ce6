/* A program that looks after its children must not meet the shim's: neither by SIGCHLD nor by a
 * wait for any. Exits with 3 if it does. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
static volatile int rounds;

static void count(int number)
{
    (void)number;
    signals++;
}

static void *touch(void *argument)
{
    for (;;) {
        ++*(volatile int *)argument;
        rounds++;
        usleep(1000);
    }
    return NULL;
}

int main(void)
{
    int *number = calloc(1, sizeof *number), before;
    pthread_t thread;
    signal(SIGCHLD, count);
    pthread_create(&thread, NULL, touch, number);
    while (rounds < 2)
        usleep(1000);
    free(number);
    before = rounds;
    while (rounds < before + 3) /* the report is written meanwhile */
        if (waitpid(-1, NULL, WNOHANG) >= 0)
            _exit(3);
    _exit(signals == 0 && waitpid(-1, NULL, WNOHANG) < 0 ? 0 : 3);
}
