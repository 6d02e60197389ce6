/* Output: where the shim's words go. Text goes to log_path, or to descriptor 2 while that is what
 * it was at start or what the program meant to make of it, or to a duplicate of it taken at start,
 * or to the page of `outlive run`. A report never lands in a file that happened to get number 2.
 * output_start() is called once; the rest is async-signal-safe and may be called by any thread
 * (whole writes; the caller serialises longer texts). */
#ifndef OUTLIVE_BASE_OUTPUT_H
#define OUTLIVE_BASE_OUTPUT_H

#include "base/options.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* environment: the process's own; libc's `environ` is not set that early. */
void output_start(const struct options *options, char **environment);
/* The child of fork: paths with %p get the child's number. */
void output_forked(void);

void output_text(const char *bytes, size_t length);
bool output_wants_json(void);
void output_json(const char *bytes, size_t length);

/* The program made descriptor 2 anew with dup2, dup3 or freopen: reports follow it there. */
void output_redirected(void);

/* The page shared with `outlive run`, or a private one: never NULL after output_start(). */
struct status *output_status(void);

/* Tells a loss of function once: `==PID==outlive: WHAT`. A later call with the same text pointer is
 * silent. */
void output_tell_once(const char *what, const char *detail);

#endif
