/* Target: finds the program that `outlive run` is to start and says why it cannot be watched. */
#ifndef OUTLIVE_TOOLS_TARGET_H
#define OUTLIVE_TOOLS_TARGET_H

#include <stdbool.h>

/* 0 if the program can be run under the shim, perhaps after one line of warning. Otherwise prints
 * one line and returns the exit status: 127 missing, 126 not executable (as shells do),
 * COMMAND_MISUSE refused. */
int target_check(const char *program, bool follow_exec);

/* Finds it as execvp() does; path holds PATH_MAX bytes. 0 if there is such a file. */
int target_find(const char *program, char *path);

#endif
