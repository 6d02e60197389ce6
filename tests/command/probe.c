/* A program for check-run to run under `outlive run`.
 *   signals         says "ready" and tells, 300 ms after the first signal, how often each came
 *   group           the same in a process group of its own
 *   daemon STATUS   goes into the background, ends with STATUS, or with 7 at SIGTERM
 *   terminal PROGRAM ARGS...  runs PROGRAM on a terminal of its own and types ^C once it says
 *                   "ready"; copies what it says */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t came[65];

static void note(int number)
{
    came[number]++;
}

static int count_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};
    size_t count = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < count; i++)
        signal(numbers[i], note);
    puts("ready");
    fflush(stdout);
    int any = 0;
    for (int rounds = 0; rounds < 100 && !any; rounds++) {
        poll(NULL, 0, 100);
        for (size_t i = 0; i < count; i++)
            any |= came[numbers[i]] > 0;
    }
    for (int rounds = 0; rounds < 3; rounds++)
        poll(NULL, 0, 100);
    for (size_t i = 0; i < count; i++)
        if (came[numbers[i]] > 0)
            printf("%s %d\n", sigabbrev_np(numbers[i]), (int)came[numbers[i]]);
    return 0;
}

static int background(int status)
{
    if (fork() != 0)
        return 0;
    setsid();
    if (fork() != 0)
        return 0;
    signal(SIGTERM, note);
    puts("ready");
    fflush(stdout);
    for (int rounds = 0; rounds < (status == 99 ? 100 : 5) && came[SIGTERM] == 0; rounds++)
        poll(NULL, 0, 100);
    return came[SIGTERM] > 0 ? 7 : status;
}

static int on_terminal(char **command)
{
    int terminal, status, typed = 0;
    char heard[4096];
    size_t length = 0;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    if (child < 0)
        return 1;
    if (child == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    for (;;) {
        ssize_t got = read(terminal, heard + length, sizeof heard - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        heard[length] = '\0';
        if (!typed && strstr(heard, "ready") != NULL)
            typed = write(terminal, "\003", 1) == 1;
    }
    fwrite(heard, 1, length, stdout);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "signals") == 0)
        return count_signals();
    if (count == 2 && strcmp(arguments[1], "group") == 0)
        return setpgid(0, 0) == 0 ? count_signals() : 1;
    if (count == 3 && strcmp(arguments[1], "daemon") == 0)
        return background(atoi(arguments[2]));
    if (count > 2 && strcmp(arguments[1], "terminal") == 0)
        return on_terminal(arguments + 2);
    return 2;
}
