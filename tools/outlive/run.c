/* run: starts a program under the shim, passes signals and its exit status through, and turns the
 * shim's verdict into the exit status. Called by main.c. */
#include "command.h"
#include "supervise.h"
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
#include <unistd.h>

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
        "same signal;\nafter a confirmed finding, with strict=1 after any, it is exitcode.\n",
        stream);
    return status;
}

/* The path goes through LD_PRELOAD, which has no way to quote. */
static int check_library(const char *path)
{
    if (strpbrk(path, " :") == NULL)
        return 0;
    fprintf(stderr, "outlive: LD_PRELOAD cannot name '%s': move it to a path without ' ' and ':'\n",
            path);
    return COMMAND_MISUSE;
}

static int find_library(char *path)
{
    static const char *const places[] = {"liboutlive.so", "../lib/liboutlive.so",
                                         "../lib/x86_64-linux-gnu/liboutlive.so"};
    const char *given = getenv("OUTLIVE_LIBRARY");
    if (given != NULL) {
        if (realpath(given, path) != NULL && access(path, R_OK) == 0)
            return check_library(path);
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
            return check_library(path);
    }
    fputs("outlive: liboutlive.so is not beside this command; set OUTLIVE_LIBRARY\n", stderr);
    return COMMAND_MISUSE;
}

/* Adds name=value; the value is quoted, since paths may hold the separators. False if the text is
 * full. */
static bool add_option(char *text, size_t size, const char *argument)
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
    const char *unwritable = access(directory, W_OK) != 0 ? directory : NULL;
    if (unwritable == NULL && access(path, F_OK) == 0 && access(path, W_OK) != 0)
        unwritable = path;
    if (unwritable == NULL)
        return 0;
    fprintf(stderr, "outlive: %s='%s' cannot be written (%s: %s); name another place\n", option,
            path, unwritable, strerror(errno));
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

/* Gives the shim's last words. True if the run fails whatever the program's status. */
static bool verdict(const struct status *page, const struct options *options, const char *name)
{
    uint32_t spilled = atomic_load(&page->spill_length);
    signal(SIGPIPE, SIG_IGN); /* the status is worth more than words nobody reads */
    if (spilled > STATUS_SPILL_SIZE)
        spilled = STATUS_SPILL_SIZE;
    if (spilled > 0)
        fwrite(page->spill, 1, spilled, stderr);
    bool failed =
        atomic_load(&page->confirmed) > 0 ||
        (options->strict && atomic_load(&page->imminent) + atomic_load(&page->possible) > 0);
    if (options->enabled && atomic_load(&page->loaded) == 0)
        fprintf(stderr, "outlive: the shim never came up in %s: nothing was watched\n", name);
    if (strcmp(options->require, "heap") == 0 &&
        (atomic_load(&page->blind_heap) != 0 || atomic_load(&page->loaded) == 0)) {
        fprintf(stderr, "outlive: require=heap: the heap of %s was not seen\n", name);
        failed = true;
    }
    return failed;
}

/* Reads the options, first from the environment, then from the words up to "--". Returns the index
 * of the program's name, or -1 after one line that says what is wrong. */
static int read_options(int count, char **arguments, struct options *options, bool *daemon,
                        char *text, size_t size)
{
    char error[512];
    const char *inherited = getenv("OUTLIVE_OPTIONS");
    options_default(options);
    if (snprintf(text, size, "%s", inherited == NULL ? "" : inherited) >= (int)size) {
        fputs("outlive: OUTLIVE_OPTIONS is too long\n", stderr);
        return -1;
    }
    if (!options_parse(options, text, error, sizeof error)) {
        fprintf(stderr, "outlive: OUTLIVE_OPTIONS: %s\n", error);
        return -1;
    }
    int at = 1;
    for (; at < count && arguments[at][0] == '-'; at++) {
        const char *word = arguments[at];
        if (strcmp(word, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(word, "--daemon") == 0) {
            *daemon = true;
            continue;
        }
        if (word[1] != '-') {
            fprintf(stderr, "outlive: unknown option '%s'; `outlive run --help` lists all\n", word);
            return -1;
        }
        if (strchr(word, '\'') != NULL && strchr(word, '"') != NULL) {
            fprintf(stderr, "outlive: a value may hold ' or \", not both: %s\n", word);
            return -1;
        }
        if (!add_option(text, size, word + 2)) {
            fputs("outlive: the options are too long\n", stderr);
            return -1;
        }
        if (!options_parse(options, text, error, sizeof error)) {
            fprintf(stderr, "outlive: %s\n", error);
            return -1;
        }
    }
    if (at < count)
        return at;
    fputs("outlive: no program named; write: outlive run [options] -- PROGRAM ARGS\n", stderr);
    return -1;
}

static int check_files(const struct options *options)
{
    int refused = check_log(options->log_path, "log_path");
    if (refused == 0)
        refused = check_log(options->json_path, "json_path");
    if (refused == 0 && options->suppressions[0] != '\0' &&
        access(options->suppressions, R_OK) != 0) {
        fprintf(stderr, "outlive: suppressions='%s': %s\n", options->suppressions, strerror(errno));
        refused = COMMAND_MISUSE;
    }
    return refused;
}

/* What was to be preloaded before stays so, behind the shim. */
static bool set_environment(const char *library, const char *options)
{
    const char *before = getenv("LD_PRELOAD");
    char *preload = NULL;
    if (before == NULL || *before == '\0')
        before = NULL;
    if (asprintf(&preload, "%s%s%s", library, before == NULL ? "" : ":",
                 before == NULL ? "" : before) < 0)
        return false;
    bool set = setenv("LD_PRELOAD", preload, 1) == 0 && setenv("OUTLIVE_OPTIONS", options, 1) == 0;
    free(preload);
    return set;
}

int run_program(int count, char **arguments)
{
    static char options_text[16384];
    static struct options options;
    char library[PATH_MAX];
    bool daemon = false;
    for (int i = 1; i < count && arguments[i][0] == '-' && strcmp(arguments[i], "--") != 0; i++)
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0)
            return usage(stdout, 0);
    int at = read_options(count, arguments, &options, &daemon, options_text, sizeof options_text);
    if (at < 0)
        return COMMAND_MISUSE;
    char **command = arguments + at;
    int refused = target_check(command[0], options.follow_exec);
    if (refused == 0)
        refused = check_files(&options);
    if (refused == 0)
        refused = find_library(library);
    if (refused != 0)
        return refused;
    struct status *page = make_status();
    if (page == NULL || !set_environment(library, options_text)) {
        fprintf(stderr, "outlive: no shared memory for the verdict: %s\n", strerror(errno));
        return COMMAND_MISUSE;
    }
    int status = 0;
    int why = supervise(command, daemon, &status);
    if (why != 0) {
        fprintf(stderr, "outlive: cannot run %s: %s%s\n", command[0], strerror(why),
                why == ENOENT ? " (its loader is missing)" : "");
        return why == ENOENT ? 127 : 126;
    }
    if (verdict(page, &options, command[0]))
        return (int)options.exitcode;
    return end_as(status);
}
