/* Lock: a small futex lock for the shim's slow paths (Drepper, "Futexes Are Tricky", mutex 2) that
 * knows its owner: a thread whose holding code will never go on - a signal handler left it by
 * longjmp, exit or pthread_exit - gives its locks back. Not recursive and not async-signal-safe by
 * itself: take it only between guard_enter() and guard_leave() (registry/guard.h), which keep a
 * signal handler's hooks out. */
#ifndef OUTLIVE_BASE_LOCK_H
#define OUTLIVE_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t state; /* 0 free; else the owner's mark, bit 0: somebody may wait */
    uint32_t forks;         /* of the owner's that found it held; that it was noted does not tell:
                               it is noted before it is taken, and until after its release */
};

void lock_take(struct lock *lock);
/* False when it could not be had within that many milliseconds. */
bool lock_take_within(struct lock *lock, uint64_t milliseconds);
/* Does not sleep. For what a call leads to that signal handlers may make: one may have interrupted
 * malloc, for whose lock a fork in another thread waits, with ours in hand. False: taken for longer
 * than others ever need it. */
bool lock_try(struct lock *lock);
void lock_release(struct lock *lock);
/* Around fork, which may be called by a signal handler that interrupted the holder: then that one
 * keeps it. In the child the holder may not exist: the lock is free. */
void lock_before_fork(struct lock *lock);
void lock_after_fork(struct lock *lock, bool child);
void lock_reset(struct lock *lock);
/* Releases all that the calling thread holds. What they guard may be half changed. */
void lock_abandon(void);

#endif
