/* Supervise: see supervise.h. */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t program; /* process id signals are passed to, 0 while there is none */
static volatile sig_atomic_t missed;  /* a signal that came then */

/* What the terminal sends, it sends to the whole group, so to the program too unless it has left.
 * A timer's SIGALRM looks the same but is ours alone, and so is SIGHUP for a session's leader. */
static bool program_has_it(int number, const siginfo_t *info)
{
    if (info->si_code != SI_KERNEL || getpgid((pid_t)program) != getpgrp())
        return false;
    return number == SIGINT || number == SIGQUIT || number == SIGWINCH ||
           (number == SIGHUP && getsid(0) != getpid());
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    (void)context;
    if (program <= 0)
        missed = number;
    else if (!program_has_it(number, info))
        kill((pid_t)program, number);
    errno = kept;
}

static void pass_signals(void)
{
    static const int passed[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGUSR1,
                                 SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaction(passed[i], &action, NULL);
}

/* Signals go on to the oldest child left: an angel rather than what it started. */
static void choose_child(void)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        program = atoi(line);
    if (file != NULL)
        fclose(file);
    if (program > 0 && missed != 0) {
        kill((pid_t)program, missed);
        missed = 0;
    }
}

static int wait_for_end(pid_t first, bool follow)
{
    int status = 0, last = 0;
    for (;;) {
        pid_t ended = waitpid(follow ? -1 : first, &status, 0);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            return last;
        last = status;
        bool was_program = ended == (pid_t)program;
        if (was_program)
            program = 0; /* the number may be somebody else's now */
        if (!follow)
            return last;
        if (was_program)
            choose_child();
    }
}

/* Reports through the pipe, which a successful exec closes, why the program did not start. */
static void become(char **command, int report)
{
    execvp(command[0], command);
    int why = errno;
    ssize_t written = write(report, &why, sizeof why);
    _exit(written == (ssize_t)sizeof why ? 127 : 126);
}

static int why_not_started(int report)
{
    int why = 0;
    ssize_t got;
    do
        got = read(report, &why, sizeof why);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof why ? why : 0;
}

int supervise(char **command, bool follow, int *status)
{
    int report[2];
    sigset_t all, held;
    struct sigaction plain = {.sa_handler = SIG_DFL}, inherited;
    if (pipe2(report, O_CLOEXEC) != 0)
        return errno;
    if (follow)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* Who inherits an ignored SIGCHLD gets no exit status. */
    sigaction(SIGCHLD, &plain, &inherited);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &held); /* until the program's number is known */
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGCHLD, &inherited, NULL);
        sigprocmask(SIG_SETMASK, &held, NULL);
        become(command, report[1]);
    }
    if (child < 0)
        return errno;
    close(report[1]);
    program = child;
    pass_signals();
    sigprocmask(SIG_SETMASK, &held, NULL);
    int why = why_not_started(report[0]);
    close(report[0]);
    *status = wait_for_end(child, follow);
    return why;
}

int end_as(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int number = WTERMSIG(status);
    /* The program's core is the one to keep. A core pattern that is a pipe takes no notice of the
     * limit. */
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(number, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    return 128 + number;
}
