/* Lock: a small futex lock for the shim's slow paths (Drepper, "Futexes Are Tricky", mutex 2).
 * Not recursive and not async-signal-safe by itself: take it only between guard_enter() and
 * guard_leave() (registry/thread.h), which keep a signal handler's hooks out. */
#ifndef OUTLIVE_BASE_LOCK_H
#define OUTLIVE_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody may wait */
};

void lock_take(struct lock *lock);
bool lock_try(struct lock *lock);
/* False when it could not be had within that many milliseconds. */
bool lock_take_within(struct lock *lock, uint64_t milliseconds);
void lock_release(struct lock *lock);
/* For the child of fork, in which the holder may not exist. */
void lock_reset(struct lock *lock);

#endif
