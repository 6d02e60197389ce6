/* Process: what start.c must tell the process hooks, and what they do at the very end. */
#ifndef OUTLIVE_CAPTURE_PROCESS_H
#define OUTLIVE_CAPTURE_PROCESS_H

/* Once at start, and in each child of fork. */
void process_hooks_start(void);
/* The last thing before the process ends: late writes, reports in progress, the summary. */
void process_ending(void);

#endif
