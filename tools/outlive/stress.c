/* stress: runs a program again and again under `outlive run` with one seed after the other, and
 * tells each distinct finding once, with the seed that shows it. Called by main.c. */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOUND_STATUS 66 /* the exit status when a run had a confirmed finding */
#define FINDINGS 256

struct found {
    char *text; /* kind, grade and sentence */
    unsigned runs, last_run;
    uint32_t seed; /* the first that showed it */
};

struct stress {
    unsigned runs, seconds;
    uint32_t seed;
    char **options; /* for `outlive run` */
    int option_count;
    char **command;
    char directory[PATH_MAX];
    struct found found[FINDINGS];
    size_t count;
    bool full, confirmed;
};

static volatile sig_atomic_t group, stopped;

static void stop(int number)
{
    int kept = errno;
    stopped = number;
    if (group > 0)
        kill(-(pid_t)group, SIGKILL);
    errno = kept;
}

static int usage(FILE *stream, int status)
{
    fputs("usage: outlive stress -n RUNS [--seed=N] [--time=SECONDS] [--OPTION=VALUE ...] -- "
          "PROGRAM [ARGUMENT ...]\n\n"
          "  -n RUNS         how often to run it\n"
          "  --seed=N        of the first run, each other has the next one; default 1\n"
          "  --time=SECONDS  stop then, in the middle of a run\n\n"
          "Other options are those of `outlive run`. What the program writes is thrown away.\n"
          "The exit status is 66 after a confirmed finding, else 0.\n",
          stream);
    return status;
}

/* A whole number from 1 to most, or 0 after one line that says what is wrong. */
static uint32_t number_of(const char *name, const char *text, uint32_t most)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = text == NULL ? 0 : strtoul(text, &end, 10);
    if (text != NULL && text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 &&
        value >= 1 && value <= most)
        return (uint32_t)value;
    fprintf(stderr, "outlive: %s takes a whole number from 1 to %u, not '%s'\n", name, most,
            text == NULL ? "" : text);
    return 0;
}

static bool read_words(int count, char **arguments, struct stress *stress)
{
    int at = 1;
    for (; at < count && strcmp(arguments[at], "--") != 0; at++) {
        char *word = arguments[at];
        uint32_t *value = NULL, time = 0, runs = 0;
        const char *name = NULL, *text = NULL;
        if (strcmp(word, "-n") == 0)
            value = &runs, name = "-n";
        else if (strncmp(word, "--seed", 6) == 0 && (word[6] == '\0' || word[6] == '='))
            value = &stress->seed, name = "--seed";
        else if (strncmp(word, "--time", 6) == 0 && (word[6] == '\0' || word[6] == '='))
            value = &time, name = "--time";
        if (value == NULL) {
            if (strncmp(word, "--", 2) != 0 || strcmp(word, "--daemon") == 0 ||
                strncmp(word, "--json_path", 11) == 0) {
                fprintf(stderr, "outlive: stress does not take '%s'\n", word);
                return false;
            }
            stress->options[stress->option_count++] = word;
            continue;
        }
        text = strchr(word, '=') != NULL ? strchr(word, '=') + 1
               : at + 1 < count          ? arguments[++at]
                                         : NULL;
        *value = number_of(name, text, value == &runs || value == &time ? 1000000 : UINT32_MAX);
        if (*value == 0)
            return false;
        if (value == &runs)
            stress->runs = runs;
        if (value == &time)
            stress->seconds = time;
    }
    if (stress->runs == 0 || at + 1 >= count) {
        fputs("outlive: write: outlive stress -n RUNS [options] -- PROGRAM ARGS\n", stderr);
        return false;
    }
    if (stress->seed > UINT32_MAX - stress->runs) {
        fputs("outlive: --seed and -n together are too large\n", stderr);
        return false;
    }
    stress->command = arguments + at + 1;
    return true;
}

/* The value of a field of text, as it stands in the line: the name with its quotes cannot stand
 * within a string, where quotes are escaped. NULL: there is none. */
static const char *field(const char *line, const char *name, int *length)
{
    const char *start = strstr(line, name);
    if (start == NULL)
        return NULL;
    start += strlen(name);
    const char *end = start;
    while (*end != '\0' && *end != '"')
        end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
    *length = (int)(end - start);
    return start;
}

/* What differs from run to run though the finding is the same: addresses, lengths of time. */
static void blank_numbers(char *text)
{
    static const char *const units[] = {" ns ", " us ", " ms ", " s "};
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        if (from[0] == '0' && from[1] == 'x') {
            *to++ = *from++;
            *to++ = *from++;
            from += strspn(from, "0123456789abcdef");
            continue;
        }
        size_t length = from == text || from[-1] == ' ' ? strspn(from, "0123456789.") : 0;
        for (size_t i = 0; length > 0 && i < sizeof units / sizeof *units; i++)
            if (strncmp(from + length, units[i], strlen(units[i])) == 0) {
                from += length + strlen(units[i]);
                memcpy(to, "~ ", 2);
                to += 2;
                break;
            }
        if (*from != '\0')
            *to++ = *from++;
    }
    *to = '\0';
}

static void add_finding(struct stress *stress, const char *line, unsigned run)
{
    int kind_length, grade_length, length;
    const char *kind = field(line, ",\"kind\":\"", &kind_length);
    const char *grade = field(line, ",\"grade\":\"", &grade_length);
    const char *sentence = field(line, ",\"sentence\":\"", &length);
    char *text;
    if (kind == NULL || grade == NULL || sentence == NULL ||
        strstr(line, ",\"suppressed\":true") != NULL)
        return;
    if (grade_length == 9 && memcmp(grade, "confirmed", 9) == 0)
        stress->confirmed = true;
    if (asprintf(&text, "%.*s (%.*s): %.*s", kind_length, kind, grade_length, grade, length,
                 sentence) < 0)
        return;
    blank_numbers(text);
    struct found *found = stress->found;
    while (found < stress->found + stress->count && strcmp(found->text, text) != 0)
        found++;
    if (found == stress->found + FINDINGS) {
        stress->full = true;
        free(text);
        return;
    }
    if (found == stress->found + stress->count) {
        stress->count++;
        *found = (struct found){text, 0, 0, stress->seed + run - 1};
    } else {
        free(text);
    }
    found->runs += found->last_run != run;
    found->last_run = run;
}

/* Reads the findings of a run, one file a process, and takes the files away. */
static void read_findings(struct stress *stress, unsigned run)
{
    DIR *directory = opendir(stress->directory);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strstr(entry->d_name, ".jsonl") == NULL)
            continue;
        int descriptor = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
        FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r");
        char *line = NULL;
        size_t size = 0;
        while (file != NULL && getline(&line, &size, file) >= 0)
            add_finding(stress, line, run);
        free(line);
        if (file != NULL)
            fclose(file);
        unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory != NULL)
        closedir(directory);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static _Noreturn void become_run(const struct stress *stress, uint32_t seed)
{
    char seed_word[32], json_word[PATH_MAX + 32];
    const struct rlimit no_core = {0, 0};
    size_t words = 0, count = 0;
    while (stress->command[count] != NULL)
        count++;
    char **line = calloc(count + (size_t)stress->option_count + 8, sizeof *line);
    int null = open("/dev/null", O_RDWR);
    if (line == NULL || null < 0)
        _exit(COMMAND_MISUSE);
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(null, 0);
    dup2(null, 1);
    snprintf(json_word, sizeof json_word, "%s/stderr", stress->directory);
    dup2(open(json_word, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 2);
    if (null > 2)
        close(null);
    snprintf(seed_word, sizeof seed_word, "--seed=%u", seed);
    snprintf(json_word, sizeof json_word, "--json_path=%s/%%p.jsonl", stress->directory);
    line[words++] = "outlive";
    line[words++] = "run";
    for (int i = 0; i < stress->option_count; i++)
        line[words++] = stress->options[i];
    line[words++] = seed_word;
    line[words++] = json_word;
    line[words++] = "--";
    memcpy(line + words, stress->command, count * sizeof *line);
    execv("/proc/self/exe", line);
    _exit(COMMAND_MISUSE);
}

/* What `outlive run` says when it refuses, where nothing was run: that stands first. */
static bool was_refused(const struct stress *stress, int status)
{
    char path[PATH_MAX + 32], said[1024] = "";
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    snprintf(path, sizeof path, "%s/stderr", stress->directory);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(said, sizeof said, file) == NULL)
            said[0] = '\0';
        fclose(file);
    }
    unlink(path);
    if ((code != COMMAND_MISUSE && code != 126 && code != 127) ||
        strncmp(said, "outlive: ", 9) != 0)
        return false;
    fputs(said, stderr);
    return true;
}

/* False: it was ended before its end. */
static bool run_once(const struct stress *stress, uint32_t seed, double end, int *status)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        become_run(stress, seed);
    if (child < 0) {
        fprintf(stderr, "outlive: no process for a run: %s\n", strerror(errno));
        stopped = SIGABRT;
        return false;
    }
    setpgid(child, child);
    group = child;
    bool late = false;
    while (waitpid(child, status, WNOHANG) == 0) {
        if (stopped || (stress->seconds > 0 && now() >= end)) {
            late = true;
            kill(-child, SIGKILL);
            waitpid(child, status, 0);
            break;
        }
        usleep(5000);
    }
    group = 0;
    return !late;
}

static void print_word(const char *word)
{
    putchar(' ');
    if (word[0] != '\0' && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789_-./=,:%@+")] == '\0') {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stdout);
    putchar('\'');
}

static void print_findings(const struct stress *stress, unsigned done)
{
    printf("%u of %u runs, %zu distinct findings\n", done, stress->runs, stress->count);
    for (size_t i = 0; i < stress->count; i++) {
        const struct found *found = &stress->found[i];
        printf("\n%s\n  in %u of %u runs, first with seed %u:\n    outlive run", found->text,
               found->runs, done, found->seed);
        for (int j = 0; j < stress->option_count; j++)
            print_word(stress->options[j]);
        printf(" --seed=%u --", found->seed);
        for (char **word = stress->command; *word != NULL; word++)
            print_word(*word);
        putchar('\n');
    }
    if (stress->full)
        printf("\nmore than %d distinct findings: the others are not counted\n", FINDINGS);
}

int stress_program(int count, char **arguments)
{
    static struct stress stress = {.seed = 1};
    if (count == 2 && (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0))
        return usage(stdout, 0);
    stress.options = calloc((size_t)count + 1, sizeof *stress.options);
    if (stress.options == NULL || !read_words(count, arguments, &stress))
        return COMMAND_MISUSE;
    const char *base = getenv("TMPDIR");
    snprintf(stress.directory, sizeof stress.directory, "%s/outlive-stress-XXXXXX",
             base == NULL || *base == '\0' ? "/tmp" : base);
    if (mkdtemp(stress.directory) == NULL) {
        fprintf(stderr, "outlive: '%s' cannot be made: %s\n", stress.directory, strerror(errno));
        return COMMAND_MISUSE;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    double end = now() + stress.seconds;
    unsigned done = 0;
    for (unsigned run = 1; run <= stress.runs && !stopped; run++) {
        int status = 0;
        bool whole = run_once(&stress, stress.seed + run - 1, end, &status);
        read_findings(&stress, run);
        if (was_refused(&stress, status)) {
            rmdir(stress.directory);
            return WEXITSTATUS(status);
        }
        if (!whole)
            break;
        done = run;
        if (isatty(2))
            fprintf(stderr, "\r%u of %u runs, %zu distinct findings", run, stress.runs,
                    stress.count);
    }
    if (isatty(2))
        fputc('\n', stderr);
    rmdir(stress.directory);
    print_findings(&stress, done);
    return stress.confirmed ? FOUND_STATUS : 0;
}
