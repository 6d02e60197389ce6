/* Supervise: starts the program, passes signals to it and waits for its end. Called by run.c. */
#ifndef OUTLIVE_TOOLS_SUPERVISE_H
#define OUTLIVE_TOOLS_SUPERVISE_H

#include <stdbool.h>

/* Runs the command, found by PATH, with this process's environment. follow: waits until no
 * descendant is left, also of those that went into the background. Returns 0 and the wait status of
 * the process that ended last, or the errno for which it could not be started. Once only. */
int supervise(char **command, bool follow, int *status);

/* Ends this process as wait status says: returns an exit status, or dies by the same signal without
 * a core of its own. */
int end_as(int status);

#endif
