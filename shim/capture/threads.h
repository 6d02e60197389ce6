/* Threads: what every thread gets from the shim when it starts and gives back when it ends: its
 * signal stack, open fault signals, and the note of its end. */
#ifndef OUTLIVE_CAPTURE_THREADS_H
#define OUTLIVE_CAPTURE_THREADS_H

#include "registry/thread_stack.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* Makes the key whose destructor tells a thread's end. Once, at start. */
bool threads_start(void);
/* In a thread that is registered and has its block; also sets the key. */
void threads_equip(void);
/* timer_delete() is about to be called: before, since after it the handle may be another timer's.
 */
void threads_timer_deleted(timer_t timer);

/* A stack of the shim's for a thread that is to be created with these attributes (NULL: the
 * default), and a copy of them with that stack; or NULL. For threads with a stack of the program's
 * own, and where libc would refuse, NULL. Without the guard. */
struct thread_stack *thread_stack_supply(struct thread *thread, const pthread_attr_t *asked,
                                         pthread_attr_t *ours);
/* After the call. Not made: the thread has no stack of ours. */
void thread_stack_tell(struct thread *thread, struct thread_stack *stack, bool made);

#endif
