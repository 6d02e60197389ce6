/* Process: what start.c must tell the process hooks, and what they do at the very end. */
#ifndef OUTLIVE_CAPTURE_PROCESS_H
#define OUTLIVE_CAPTURE_PROCESS_H

#include <stdbool.h>

/* Once at start, and in each child of fork. */
void process_hooks_start(void);
/* False in a child of vfork, which shares our memory but has signal handlers of its own, and in one
 * of a raw clone, which went past our handlers of fork. */
bool process_is_us(void);
/* The last thing before the process ends: late writes, reports in progress, the summary. */
void process_ending(void);

#endif
