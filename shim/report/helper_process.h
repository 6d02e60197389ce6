/* Helper process: runs another program for the shim, unseen by the one that is watched. Called by
 * names.c. A child made without an exit signal gets SIGCHLD as one when it calls execve
 * (begin_new_exec() in the kernel's fs/exec.c): so a second process stands between, which shares
 * our memory and runs no other code than this file's. One at a time. Async-signal-safe. */
#ifndef OUTLIVE_REPORT_HELPER_PROCESS_H
#define OUTLIVE_REPORT_HELPER_PROCESS_H

#include <stdbool.h>

/* Starts the program with one end of a connection as its standard input and output. Returns our
 * end, or -1. */
int helper_start(const char *path);
/* Ends it, if it runs still, and the connection. Afterwards both processes are gone. */
void helper_stop(int connection);

#endif
