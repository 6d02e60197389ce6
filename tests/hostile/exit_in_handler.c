/* exit() in a signal handler, at any moment of code that allocates, and of a thread that does, too.
 * What is called by exit allocates nothing. No child may hang, and each ends with its status. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_exit_call(void)
{
    (void)write(1, "x", 1);
}

static void on_alarm(int number)
{
    (void)number;
    exit(7);
}

static void *work(void *argument)
{
    for (;;) {
        char *volatile block = malloc(64);
        free(block);
    }
    return argument;
}

static void live_and_exit(int number)
{
    struct itimerval soon = {.it_value = {0, 500 + number * 37 % 900}};
    sigset_t blocked;
    pthread_t thread;
    (void)atexit(on_exit_call);
    (void)signal(SIGALRM, on_alarm);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGALRM);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    (void)pthread_create(&thread, NULL, work, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    (void)setitimer(ITIMER_REAL, &soon, NULL);
    for (;;) {
        char *volatile block = malloc(48);
        free(block);
    }
}

int main(void)
{
    int right = 0;
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (child == 0)
            live_and_exit(i);
        int status = 0;
        (void)waitpid(child, &status, 0);
        right += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    printf("\n%d of 60\n", right);
    return 0;
}
