/* Wait: which thread waits for which. A thread notes the call that it is about to wait in, and
 * takes the note back afterwards; whoever reads it asks the kernel, too, since a cancellation or a
 * longjmp leaves notes behind. Who holds a lock is libc's own record: its memory is read with care,
 * the lock may be gone. */
#ifndef OUTLIVE_REGISTRY_WAIT_H
#define OUTLIVE_REGISTRY_WAIT_H

#include "registry/stack.h"
#include "registry/thread.h"

/* Notes carry stacks, and signals of condition variables and semaphores are noted. Set at start. */
extern bool wait_keeps_all __attribute__((visibility("hidden")));

/* Of a lock of that sort, and back. */
static inline enum wait_for wait_for_lock(enum lock_sort sort)
{
    return (enum wait_for)(WAIT_MUTEX + sort);
}
static inline bool wait_is_for_lock(const struct thread_wait *wait)
{
    return wait->what >= WAIT_MUTEX && wait->what <= WAIT_BARRIER;
}
static inline enum lock_sort wait_lock_sort(const struct thread_wait *wait)
{
    return (enum lock_sort)(wait->what - WAIT_MUTEX);
}
_Static_assert(WAIT_BARRIER - WAIT_MUTEX == LOCK_BARRIER, "locks stand in one order");

/* The calling thread is about to wait. mutex: what a condition variable's wait takes again, or
 * NULL. *before is what the thread did when a signal handler interrupted it. NULL: not noted.
 * Without the guard; async-signal-safe. */
struct thread_wait *wait_begin(struct thread_wait *before, enum wait_for what, const char *function,
                               const void *address, const void *mutex, struct caller caller);
/* target: the thread that has the handle, 0 if it is not known. */
struct thread_wait *wait_begin_join(struct thread_wait *before, pthread_t handle,
                                    thread_reference target, bool has_end, const char *function,
                                    struct caller caller);
void wait_restore(struct thread_wait *wait, const struct thread_wait *before);
static inline void wait_end(struct thread_wait *wait, const struct thread_wait *before)
{
    if (wait == NULL)
        return;
    atomic_store_explicit(&wait->what, WAIT_NONE, memory_order_release);
    /* What was left for good, by a cancellation or a longjmp, has nothing below it to go back to.
     */
    if (__builtin_expect(before->what != WAIT_NONE && before->slot > wait->slot, 0))
        wait_restore(wait, before);
}

/* The condition variable is signalled, or the semaphore posted, by the calling thread. */
void wait_note_signal_slow(const void *address);
static inline void wait_note_signal(const void *address)
{
    if (__builtin_expect(wait_keeps_all, 0))
        wait_note_signal_slow(address);
}

/* What a thread waits for now. */
struct waiting {
    struct thread_wait note;
    thread_reference holder;    /* the thread that must go on first; 0: none is known */
    uintptr_t lock;             /* the mutex or lock that `holder` holds, or 0 */
    thread_reference signaller; /* of a condition variable or semaphore, the last; 0: unknown */
    uint64_t signal_ticks;
};

/* False: it does not wait in a call that was noted. For reports. */
bool wait_of(const struct thread *thread, struct waiting *waiting);

/* Threads that wait for one another, from `thread` on: each waits for the next, the last for the
 * one at *cycle, or for nobody known (*cycle = the count). Returns how many. */
size_t wait_chain(const struct thread *thread, struct waiting *chain, thread_reference *threads,
                  size_t most, size_t *cycle);

#endif
