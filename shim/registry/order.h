/* Order: what a thread did before what another did, through what they tell each other: locks that
 * are released and taken, conditions, semaphores and barriers, and threads that are started and
 * joined. Each thread writes what it tells, and by what it is told, into a ring of its own, with
 * the time; a question goes through all rings from the time that is asked about on. Atomics are
 * not seen, so that a missing order proves nothing.
 *
 * Stamps of different threads are compared: x86 processors with an invariant time stamp counter
 * (Intel SDM 3B, 18.17.1) have one time on all cores. What is told is stamped before the real
 * call, and what is learned after it. A signal handler that interrupts a note may cost a note. */
#ifndef OUTLIVE_REGISTRY_ORDER_H
#define OUTLIVE_REGISTRY_ORDER_H

#include "registry/thread.h"

enum order { ORDER_BEFORE, ORDER_NONE, ORDER_UNKNOWN };

enum order_kind {
    ORDER_RELEASE, /* the thread tells others by it */
    ORDER_ACQUIRE, /* the thread has been told by it */
    ORDER_ENDED,   /* the thread is done with the ring; in place of an address: who it is */
    ORDER_BEGAN,   /* the next thread has it */
};

#define ORDER_EVENTS 1024 /* in a ring */

/* Notes are taken; see order_begin(). */
extern bool order_records __attribute__((visibility("hidden")));

/* From now on notes are taken. Async-signal-safe. */
void order_begin(void);

/* The calling thread's note: without the guard, any context, errno is kept. */
void order_note_slow(const struct thread_block *block, enum order_kind kind, uintptr_t address,
                     uint64_t ticks);
static inline __attribute__((always_inline)) void
order_note(const struct thread_block *block, enum order_kind kind, const void *address)
{
    if (__builtin_expect(order_records, 0))
        order_note_slow(block, kind, (uintptr_t)address, __builtin_ia32_rdtsc());
}

/* Does anything seen order what `thread` did at `ticks` before what `by` did at `until`? Locks in
 * [without, without + size) do not count. ORDER_UNKNOWN: nothing is known that does, but not all
 * is known. Takes a lock of its own. */
enum order order_between(thread_reference thread, uint64_t ticks, thread_reference by,
                         uint64_t until, uintptr_t without, size_t size);

/* A child of fork starts with nothing. */
void order_prepare_fork(void);
void order_forked(bool child);

#endif
