/* Picture: the life-cycle picture of a process in trouble. The stacks of other threads are taken by
 * a sampler that the capture layer lends, since only it may interrupt threads. */
#ifndef OUTLIVE_REPORT_PICTURE_H
#define OUTLIVE_REPORT_PICTURE_H

#include "registry/stack.h"

#include <stdbool.h>
#include <sys/types.h>

/* The thread's stack now; false if it did not answer within a few milliseconds. */
void picture_set_sampler(bool (*sampler)(pid_t tid, struct stack *stack));
bool picture_sample(pid_t tid, struct stack *stack);

#endif
