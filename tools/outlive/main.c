/* outlive: the command. One row below and one file a subcommand. */
#include "command.h"

#include "base/options.h"

#include <stdio.h>
#include <string.h>

static int show_options(int count, char **arguments)
{
    size_t rows;
    const struct option_row *row = options_rows(&rows);
    if (count != 2 || strcmp(arguments[1], "--markdown") != 0) {
        fputs("usage: outlive options --markdown\n", stderr);
        return COMMAND_MISUSE;
    }
    puts("| option | default | meaning |\n| --- | --- | --- |");
    for (size_t i = 0; i < rows; i++) {
        printf("| `%s` | `%s` | ", row[i].name, row[i].initial);
        for (const char *c = row[i].help; *c != '\0'; c++)
            printf(*c == '|' ? "\\|" : "%c", *c);
        puts(" |");
    }
    return 0;
}

static int show_kinds(int count, char **arguments)
{
    static const struct {
        const char *name, *grade, *stops, *evidence;
    } rows[] = {
#define CONFIRMED "confirmed"
#define IMMINENT "imminent"
#define POSSIBLE "possible"
#define KIND(identifier, name, grade, stops, evidence) {name, grade, #stops, evidence},
#include "report/finding.def"
#undef KIND
    };
    (void)arguments;
    if (count != 1) {
        fputs("usage: outlive kinds\n", stderr);
        return COMMAND_MISUSE;
    }
    puts("| kind | highest grade | stops the program | evidence |\n| --- | --- | --- | --- |");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("| `%s` | %s | %s | %s |\n", rows[i].name, rows[i].grade,
               strcmp(rows[i].stops, "true") == 0 ? "yes" : "no", rows[i].evidence);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int count, char **arguments);
    const char *help;
} commands[] = {
    {"run", run_program, "run a program under the shim: outlive run [options] -- PROGRAM ARGS"},
    {"stress", stress_program,
     "run a program many times with delays: outlive stress -n RUNS [options] -- PROGRAM ARGS"},
    {"scan", scan_program,
     "tell what of a program will be seen: outlive scan [--json] [--refused] BINARY"},
    {"options", show_options, "print the table of options: outlive options --markdown"},
    {"kinds", show_kinds, "print the table of kinds of findings"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static int usage(FILE *stream, int status)
{
    fputs("outlive tells which threads of a program outlive the objects they use.\n\n", stream);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stream, "  outlive %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\n`outlive run --help` lists the options.\n", stream);
    return status;
}

int main(int count, char **arguments)
{
    if (count < 2)
        return usage(stderr, COMMAND_MISUSE);
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0)
        return usage(stdout, 0);
    if (strcmp(arguments[1], "--version") == 0) {
        puts("outlive " OUTLIVE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(arguments[1], commands[i].name) == 0)
            return commands[i].run(count - 1, arguments + 1);
    fprintf(stderr, "outlive: no command '%s'; `outlive --help` lists them\n", arguments[1]);
    return COMMAND_MISUSE;
}
