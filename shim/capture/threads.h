/* Threads: what every thread gets from the shim when it starts and gives back when it ends: its
 * signal stack, open fault signals, and the note of its end. */
#ifndef OUTLIVE_CAPTURE_THREADS_H
#define OUTLIVE_CAPTURE_THREADS_H

#include <stdbool.h>
#include <time.h>

/* Makes the key whose destructor tells a thread's end. Once, at start. */
bool threads_start(void);
/* In a thread that is registered and has its block; also sets the key. */
void threads_equip(void);
/* timer_delete() is about to be called: before, since after it the handle may be another timer's.
 */
void threads_timer_deleted(timer_t timer);

#endif
