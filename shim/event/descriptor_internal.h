/* Shared by the files of event/ that deal with descriptors. Between guard_enter() and
 * guard_leave(). */
#ifndef OUTLIVE_EVENT_DESCRIPTOR_INTERNAL_H
#define OUTLIVE_EVENT_DESCRIPTOR_INTERNAL_H

#include "event/descriptor.h"
#include "event/internal.h"

bool descriptor_events_start(const struct options *options);
void descriptor_events_prepare_fork(void);
void descriptor_events_forked(void); /* in the child */

/* guard_enter() for events of that number. False: it is none of ours. */
bool descriptor_enter(int number);
/* The life of the number's present or last descriptor, after that of the one before. */
struct descriptor_touch descriptor_story(int number, const struct descriptor *descriptor);
void tell_descriptor(struct finding *finding);
/* A loop over all numbers closed these: who owned one may close it again, or try to use it. stack:
 * of the closes, kept; others stay known. */
void forget_closed(int first, int last, uint32_t stack);
void capture_descriptor_touch(struct touch *touch, const char *function, struct caller caller);

/* descriptor_users.c: another thread waits in a call on the open descriptor that is about to be
 * closed: *touch is what that thread does. */
bool descriptor_find_user(int number, uint64_t word, struct touch *touch);

/* held.c: a finding waits for what its thread does next. */
bool held_start(void);
/* Of a close: told unless the closes turn out to be a loop over all numbers. */
void held_put_close(const struct finding *finding);
/* Of a call that only asked; silent: told only if the thread aborts. */
void held_put_probe(const struct touch *touch, const struct descriptor_touch *descriptor,
                    bool silent);
/* The calling thread is about to close that number, or has asked for it. */
void held_before_close(int number, struct caller caller);
void held_before_probe(int number, struct caller caller);
/* What waits for the calling thread to go on. */
void held_conclude(void);
/* The calling thread aborts, on that stack, because of what it was answered: told. */
bool held_explains_abort(const struct stack *stack);
/* All that wait, of every thread: the process ends. */
void held_tell_all(void);
void held_forked(void);

#endif
