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

/* The calling thread is about to wait. mutex: what a condition variable's wait takes again, or
 * NULL. NULL: not noted, as in a signal handler that interrupted a wait. Without the guard;
 * async-signal-safe. */
struct thread_wait *wait_begin(enum wait_for what, const char *function, const void *address,
                               const void *mutex, struct caller caller);
/* target: the thread that has the handle, 0 if it is not known. */
struct thread_wait *wait_begin_join(pthread_t handle, thread_reference target, bool has_end,
                                    const char *function, struct caller caller);
static inline void wait_end(struct thread_wait *wait)
{
    if (wait != NULL)
        atomic_store_explicit(&wait->what, WAIT_NONE, memory_order_release);
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
