/* run: starts a program under the shim, passes signals and its exit status through, and turns the
 * shim's verdict into the exit status. Called by main.c. */
#include "command.h"
#include "target.h"

#include "base/options.h"
#include "base/status.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t program; /* process id signals are passed to */

static int usage(FILE *stream, int status)
{
    size_t count;
    const struct option_row *rows = options_rows(&count);
    fputs("usage: outlive run [--daemon] [--OPTION=VALUE ...] -- PROGRAM [ARGUMENT ...]\n\n"
          "  --daemon    follow a program that goes into the background until its last process "
          "ends\n\n"
          "Options, also as OUTLIVE_OPTIONS=\"name=value name=value\":\n",
          stream);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "  --%s=%s\n        %s\n", rows[i].name, rows[i].initial, rows[i].help);
    fputs(
        "\nThe exit status is the program's; a program ended by a signal ends this command by the "
        "same signal;\nafter a confirmed finding it is exitcode.\n",
        stream);
    return status;
}

static int find_library(char *path)
{
    static const char *const places[] = {"liboutlive.so", "../lib/liboutlive.so",
                                         "../lib/x86_64-linux-gnu/liboutlive.so"};
    const char *given = getenv("OUTLIVE_LIBRARY");
    if (given != NULL) {
        snprintf(path, PATH_MAX, "%s", given);
        if (access(path, R_OK) == 0)
            return 0;
        fprintf(stderr, "outlive: OUTLIVE_LIBRARY names '%s', which cannot be read\n", given);
        return COMMAND_MISUSE;
    }
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char joined[2 * PATH_MAX];
        snprintf(joined, sizeof joined, "%s/%s", self, places[i]);
        if (realpath(joined, path) != NULL)
            return 0;
    }
    fprintf(stderr, "outlive: liboutlive.so is not beside this command; set OUTLIVE_LIBRARY\n");
    return COMMAND_MISUSE;
}

/* Adds name=value; the value is quoted, since paths may hold the separators. */
static int add_option(char *text, size_t size, const char *argument)
{
    const char *value = strchr(argument, '=');
    size_t used = strlen(text);
    if (value == NULL)
        return snprintf(text + used, size - used, " %s", argument) < (int)(size - used);
    char quote = strchr(value, '\'') == NULL ? '\'' : '"';
    return snprintf(text + used, size - used, " %.*s=%c%s%c", (int)(value - argument), argument,
                    quote, value + 1, quote) < (int)(size - used);
}

static int check_log(const char *path, const char *option)
{
    char directory[OPTION_TEXT_SIZE];
    if (path[0] == '\0')
        return 0;
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        strcpy(directory, ".");
    else
        slash[slash == directory] = '\0';
    if (access(directory, W_OK) == 0)
        return 0;
    fprintf(stderr, "outlive: %s='%s' cannot be written (%s: %s); name another place\n", option,
            path, directory, strerror(errno));
    return COMMAND_MISUSE;
}

static struct status *make_status(void)
{
    int file = memfd_create("outlive-status", 0);
    if (file < 0 || ftruncate(file, STATUS_SIZE) != 0)
        return NULL;
    struct status *status = mmap(NULL, STATUS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (status == MAP_FAILED)
        return NULL;
    status->magic = STATUS_MAGIC;
    status->version = STATUS_VERSION;
    char number[16];
    snprintf(number, sizeof number, "%d", file);
    setenv(STATUS_VARIABLE, number, 1);
    return status;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    (void)context;
    /* What the terminal sends, it sends to the program too. */
    if (info->si_code == SI_KERNEL && (number == SIGINT || number == SIGQUIT))
        return;
    if (program > 0)
        kill((pid_t)program, number);
}

static const int passed[] = {SIGTERM, SIGINT,  SIGHUP,   SIGQUIT, SIGUSR1, SIGUSR2,
                             SIGALRM, SIGCONT, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU};

static void pass_signals(void)
{
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof passed / sizeof *passed - 3; i++)
        sigaction(passed[i], &action, NULL);
}

/* The youngest living child: of a daemon, the process that went into the background. */
static pid_t some_child(void)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    pid_t child = -1;
    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        child = (pid_t)atoi(line);
    if (file != NULL)
        fclose(file);
    return child > 0 ? child : -1;
}

static int wait_for_end(pid_t first, int daemon)
{
    int status = 0, last = 0;
    for (;;) {
        pid_t ended = waitpid(daemon ? -1 : first, &status, 0);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            return last;
        last = status;
        if (!daemon)
            return last;
        pid_t next = some_child();
        if (next > 0 && ended == (pid_t)program)
            program = next;
    }
}

static int end_as(int status, int exitcode, int failed)
{
    if (failed)
        return exitcode;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int number = WTERMSIG(status);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* the program's core is the one to keep */
    signal(number, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    return 128 + number;
}

static int verdict(const struct status *page, const struct options *options, const char *name)
{
    uint32_t spilled = atomic_load(&page->spill_length);
    if (spilled > STATUS_SPILL_SIZE)
        spilled = STATUS_SPILL_SIZE;
    if (spilled > 0)
        fwrite(page->spill, 1, spilled, stderr);
    int failed = atomic_load(&page->confirmed) > 0;
    if (options->enabled && atomic_load(&page->loaded) == 0)
        fprintf(stderr, "outlive: the shim never came up in %s: nothing was watched\n", name);
    if (strcmp(options->require, "heap") == 0 &&
        (atomic_load(&page->blind_heap) != 0 || atomic_load(&page->loaded) == 0)) {
        fprintf(stderr, "outlive: require=heap: the heap of %s was not seen\n", name);
        failed = 1;
    }
    return failed;
}

int run_program(int count, char **arguments)
{
    static char options_text[16384];
    struct options options;
    char error[512], library[PATH_MAX], preload[2 * PATH_MAX];
    int daemon = 0, at = 1;
    const char *inherited = getenv("OUTLIVE_OPTIONS");
    options_default(&options);
    if (inherited != NULL)
        snprintf(options_text, sizeof options_text, "%s", inherited);
    if (!options_parse(&options, options_text, error, sizeof error)) {
        fprintf(stderr, "outlive: OUTLIVE_OPTIONS: %s\n", error);
        return COMMAND_MISUSE;
    }
    for (; at < count && strncmp(arguments[at], "--", 2) == 0; at++) {
        const char *word = arguments[at] + 2;
        if (*word == '\0') {
            at++;
            break;
        }
        if (strcmp(word, "help") == 0)
            return usage(stdout, 0);
        if (strcmp(word, "daemon") == 0) {
            daemon = 1;
            continue;
        }
        if (!add_option(options_text, sizeof options_text, word)) {
            fputs("outlive: the options are too long\n", stderr);
            return COMMAND_MISUSE;
        }
        if (!options_parse(&options, options_text, error, sizeof error)) {
            fprintf(stderr, "outlive: %s\n", error);
            return COMMAND_MISUSE;
        }
    }
    if (at >= count) {
        fputs("outlive: no program named; write: outlive run [options] -- PROGRAM ARGS\n", stderr);
        return COMMAND_MISUSE;
    }
    char **command = arguments + at;
    int refused = target_check(command[0]);
    if (refused == 0)
        refused = check_log(options.log_path, "log_path");
    if (refused == 0)
        refused = check_log(options.json_path, "json_path");
    if (refused == 0 && options.suppressions[0] != '\0' &&
        access(options.suppressions, R_OK) != 0) {
        fprintf(stderr, "outlive: suppressions='%s': %s\n", options.suppressions, strerror(errno));
        refused = COMMAND_MISUSE;
    }
    if (refused == 0)
        refused = find_library(library);
    if (refused != 0)
        return refused;
    struct status *page = make_status();
    if (page == NULL) {
        fprintf(stderr, "outlive: no shared memory for the verdict: %s\n", strerror(errno));
        return COMMAND_MISUSE;
    }
    const char *before = getenv("LD_PRELOAD");
    snprintf(preload, sizeof preload, "%s%s%s", library, before == NULL ? "" : ":",
             before == NULL ? "" : before);
    if (daemon)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t all, held;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &held); /* until the program's number is known */
    pid_t child = fork();
    if (child == 0) {
        setenv("LD_PRELOAD", preload, 1);
        setenv("OUTLIVE_OPTIONS", options_text, 1);
        sigprocmask(SIG_SETMASK, &held, NULL);
        execvp(command[0], command);
        fprintf(stderr, "outlive: cannot run %s: %s\n", command[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    if (child < 0) {
        fprintf(stderr, "outlive: cannot start a process: %s\n", strerror(errno));
        return COMMAND_MISUSE;
    }
    program = child;
    pass_signals();
    sigprocmask(SIG_SETMASK, &held, NULL);
    int status = wait_for_end(child, daemon);
    return end_as(status, (int)options.exitcode, verdict(page, &options, command[0]));
}
