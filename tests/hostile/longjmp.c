/* siglongjmp out of a signal handler that interrupts hooks: sem_post on a semaphore in the heap,
 * which a handler may leave at any moment. With `bug` also malloc and free, every one guarded, and
 * a late touch afterwards: the hooks live on, and no lock of the shim stays held. (Bare, a malloc
 * that is left half done may crash.) */
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static sigjmp_buf back;
static volatile sig_atomic_t may_jump;

static void on_alarm(int number)
{
    (void)number;
    if (may_jump)
        siglongjmp(back, 1);
}

static __attribute__((noinline)) void loop(sem_t *semaphore, int bug)
{
    may_jump = 1;
    for (;;) {
        if (bug) {
            char *volatile block = malloc(64);
            free(block);
        }
        (void)sem_post(semaphore);
        (void)sem_trywait(semaphore);
    }
}

int main(int count, char **arguments)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    volatile int bug = count > 1 && strstr(arguments[1], "bug") != NULL;
    sem_t *volatile semaphore = malloc(sizeof *semaphore);
    volatile int jumps = 0;
    char signal_stack[65536];
    stack_t own = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_handler = on_alarm};
    if (count > 1 && strstr(arguments[1], "own_stack") != NULL) {
        (void)sigaltstack(&own, NULL);
        action.sa_flags = SA_ONSTACK;
    }
    (void)sem_init(semaphore, 0, 0);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    if (sigsetjmp(back, 1) != 0) {
        may_jump = 0;
        jumps++;
    }
    if (jumps < 400)
        loop(semaphore, bug);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    for (int i = 0; i < 100; i++) {
        char *volatile block = malloc(100 + (size_t)i);
        free(block);
    }
    printf("%d jumps\n", jumps);
    (void)fflush(stdout);
    char *volatile block = malloc(40);
    block[0] = 'y';
    free(block);
    return bug ? block[0] == 'z' : 0;
}
