/* Compare: runs a command bare and under preloaded libraries in turn, and prints each one's CPU
 * time and peak memory as ratios to the bare run of the same round: machines are noisy, rounds are
 * not. Usage: compare ROUNDS NAME[!LIMIT]=/LIBRARY[,OUTLIVE_OPTIONS]... -- COMMAND ARGS
 *
 * Prints a Markdown row for each NAME: median, minimum and maximum of both ratios, and how much
 * later it ended, in milliseconds. LIMIT: what the median of CPU time may be at most, or, after a
 * '+', that of the milliseconds; exit status 1 where it is more. */
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIANTS_MOST = 8, ROUNDS_MOST = 100 };

struct variant {
    const char *name;
    char *library, *options, *limit;
    double cpu[ROUNDS_MOST], memory[ROUNDS_MOST], later[ROUNDS_MOST];
};

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void run(const struct variant *variant, char **command, double *cpu, double *memory,
                double *elapsed)
{
    struct rusage usage;
    int status, marks[2];
    if (pipe2(marks, O_CLOEXEC | O_NONBLOCK) != 0)
        exit(1);
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        dup2(marks[1], MARK_DESCRIPTOR);
        if (variant != NULL) {
            setenv("LD_PRELOAD", variant->library, 1);
            setenv("OUTLIVE_OPTIONS", variant->options == NULL ? "" : variant->options, 1);
        }
        execvp(command[0], command);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        fprintf(stderr, "compare: %s under %s did not end with 0\n", command[0],
                variant == NULL ? "nothing" : variant->name);
        exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    *elapsed =
        (double)(ended.tv_sec - began.tv_sec) * 1e3 + (double)(ended.tv_nsec - began.tv_nsec) / 1e6;
    *cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    *memory = (double)usage.ru_maxrss;
    int64_t before;
    if (read(marks[0], &before, sizeof before) == sizeof before)
        *cpu -= (double)before / 1e9;
    close(marks[0]);
    close(marks[1]);
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Returns the median. */
static double print(double *ratios, int count, const char *form)
{
    qsort(ratios, (size_t)count, sizeof *ratios, by_size);
    printf(form, ratios[count / 2], ratios[0], ratios[count - 1]);
    return ratios[count / 2];
}

static bool is_within(const struct variant *variant, double cpu, double later)
{
    if (variant->limit == NULL)
        return true;
    bool by_time = variant->limit[0] == '+';
    double most = atof(variant->limit + by_time), is = by_time ? later : cpu;
    if (is <= most)
        return true;
    fprintf(stderr, "compare: %s: %.2f%s, at most %.2f is allowed\n", variant->name, is,
            by_time ? " ms later" : " times the CPU time", most);
    return false;
}

int main(int count, char **arguments)
{
    struct variant variants[VARIANTS_MOST];
    int used = 0, at = 2, rounds = count > 2 ? atoi(arguments[1]) : 0;
    for (; at < count && strcmp(arguments[at], "--") != 0 && used < VARIANTS_MOST; at++) {
        struct variant *variant = &variants[used++];
        memset(variant, 0, sizeof *variant);
        variant->name = arguments[at];
        variant->library = strstr(arguments[at], "=/"); /* a name may hold one, too */
        if (variant->library == NULL)
            return 2;
        *variant->library++ = '\0';
        variant->limit = strchr(arguments[at], '!');
        if (variant->limit != NULL)
            *variant->limit++ = '\0';
        variant->options = strchr(variant->library, ',');
        if (variant->options != NULL)
            *variant->options++ = '\0';
    }
    if (rounds < 1 || rounds > ROUNDS_MOST || at + 1 >= count) {
        fputs("usage: compare ROUNDS NAME[!LIMIT]=LIBRARY[,OPTIONS]... -- COMMAND ARGS\n", stderr);
        return 2;
    }
    for (int round = 0; round < rounds; round++) {
        double cpu, memory, elapsed, own_cpu, own_memory, own_elapsed;
        run(NULL, arguments + at + 1, &cpu, &memory, &elapsed);
        for (int i = 0; i < used; i++) {
            struct variant *variant = &variants[(i + round) % used]; /* rotate the order */
            run(variant, arguments + at + 1, &own_cpu, &own_memory, &own_elapsed);
            variant->cpu[round] = own_cpu / cpu;
            variant->memory[round] = own_memory / memory;
            variant->later[round] = own_elapsed - elapsed;
        }
    }
    bool within = true;
    for (int i = 0; i < used; i++) {
        printf("| %s |", variants[i].name);
        double cpu = print(variants[i].cpu, rounds, " %.2f (%.2f-%.2f) |");
        (void)print(variants[i].memory, rounds, " %.2f (%.2f-%.2f) |");
        double later = print(variants[i].later, rounds, " %+.1f (%+.1f-%+.1f) |");
        putchar('\n');
        within = is_within(&variants[i], cpu, later) && within;
    }
    return within ? 0 : 1;
}
