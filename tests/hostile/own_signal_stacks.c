/* Threads with signal stacks of their own, and a handler that never returns. One crashes in the
 * shutdown phase: the report of it asks all threads for their stacks. Another one touches a dead
 * object just then, is asked while its own fault is looked at, and goes on: to a second free. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { STACK = 65536 };
static atomic_int go;
static int *volatile object;
static volatile int sink;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    (void)info;
    for (;;)
        pause();
}

static void begin(void)
{
    stack_t own = {.ss_sp = malloc(STACK), .ss_size = STACK};
    sigaltstack(&own, NULL);
    while (!atomic_load(&go))
        usleep(100);
}

static void *crash(void *argument)
{
    begin();
    *(volatile int *)argument = 1;
    return NULL;
}

static void *touch(void *argument)
{
    begin();
    usleep(15000);
    sink = *object;
    free(object);
    return argument;
}

static void end(void)
{
    atomic_store(&go, 1);
    sleep(3);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    pthread_t threads[2];
    sigaction(SIGSEGV, &action, NULL);
    object = malloc(100);
    pthread_create(&threads[0], NULL, crash, NULL);
    pthread_create(&threads[1], NULL, touch, NULL);
    usleep(50000);
    atexit(end);
    free(object);
    return 0;
}
