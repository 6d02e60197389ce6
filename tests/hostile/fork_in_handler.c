/* fork in a signal handler that may have interrupted a hook: the child goes on from there,
 * allocates and leaves by exit; the parent does, too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t is_child, forked; /* one child at a time */

static void on_alarm(int number)
{
    (void)number;
    if (is_child || forked)
        return;
    forked = 1;
    if (fork() == 0)
        is_child = 1;
}

static void work(void)
{
    for (int i = 0; i < 200; i++) {
        char *volatile block = malloc(48);
        free(block);
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    int ended = 0, right = 0;
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &often, NULL); /* a child has no timers */
    while (ended < 60) {
        work();
        if (is_child) {
            work();
            exit(6);
        }
        int status;
        while (waitpid(-1, &status, WNOHANG) > 0) {
            ended++;
            forked = 0;
            right += WIFEXITED(status) && WEXITSTATUS(status) == 6;
        }
    }
    (void)setitimer(ITIMER_REAL, &never, NULL);
    if (is_child) /* made by the last alarm */
        exit(6);
    printf("%s\n", right == ended ? "all right" : "some wrong");
    return 0;
}
