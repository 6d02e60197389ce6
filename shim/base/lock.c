/* Lock: see lock.h. */
#include "base/lock.h"

#include "base/clock.h"
#include "base/system.h"

#include <linux/futex.h>

#define FREE UINT32_C(0)
#define WAITED UINT32_C(1)
#define HELD_MOST 24 /* a fork holds thirteen, with those of what it interrupted */

static __thread struct {
    struct lock *locks[HELD_MOST]; /* taken, or about to be */
    uint32_t count;
} held;

/* Tells threads apart; costs no system call. Their storage lies further apart than 64 bytes. */
static uint32_t own_mark(void)
{
    return ((uint32_t)((uintptr_t)&held >> 6) | UINT32_C(1) << 30) << 1;
}

/* Noted before it is taken: a signal between the two must not leave a lock that nobody knows. */
static void note(struct lock *lock)
{
    if (held.count < HELD_MOST)
        held.locks[held.count] = lock;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    held.count++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void forget(const struct lock *lock)
{
    for (uint32_t i = held.count < HELD_MOST ? held.count : HELD_MOST; i-- > 0;)
        if (held.locks[i] == lock) {
            for (; i + 1 < held.count && i + 1 < HELD_MOST; i++)
                held.locks[i] = held.locks[i + 1];
            held.count--;
            return;
        }
}

static bool take(struct lock *lock, uint32_t with)
{
    uint32_t expected = FREE;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, own_mark() | with,
                                                   memory_order_acquire, memory_order_relaxed);
}

bool lock_take_within(struct lock *lock, uint64_t milliseconds)
{
    note(lock);
    if (take(lock, 0))
        return true;
    uint64_t end = clock_milliseconds() + milliseconds;
    while (!take(lock, WAITED)) {
        struct timespec pause = {0, 50 * 1000000};
        uint32_t seen = atomic_fetch_or(&lock->state, WAITED) | WAITED;
        if (seen == WAITED) { /* it became free meanwhile: undo, or wake whoever came */
            (void)atomic_compare_exchange_strong(&lock->state, &seen, FREE);
            continue;
        }
        if (milliseconds != UINT64_MAX && clock_milliseconds() >= end) {
            forget(lock);
            return false;
        }
        (void)system_futex(&lock->state, FUTEX_WAIT_PRIVATE, seen,
                           milliseconds == UINT64_MAX ? NULL : &pause);
    }
    return true;
}

bool lock_try(struct lock *lock)
{
    enum { TRIES = 1000 }; /* some ten microseconds */
    note(lock);
    for (int tries = 0; tries < TRIES; tries++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == FREE && take(lock, 0))
            return true;
        __builtin_ia32_pause();
    }
    forget(lock);
    return false;
}

void lock_take(struct lock *lock)
{
    (void)lock_take_within(lock, UINT64_MAX);
}

static void give_back(struct lock *lock)
{
    if ((atomic_exchange_explicit(&lock->state, FREE, memory_order_release) & WAITED) != 0)
        (void)system_futex(&lock->state, FUTEX_WAKE_PRIVATE, 1, NULL);
}

void lock_release(struct lock *lock)
{
    give_back(lock);
    forget(lock);
}

static uint32_t times_held(const struct lock *lock)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < held.count && i < HELD_MOST; i++)
        times += held.locks[i] == lock;
    return times;
}

void lock_before_fork(struct lock *lock)
{
    if ((atomic_load(&lock->state) & ~WAITED) == own_mark()) {
        note(lock);
        lock->forks++;
    } else {
        lock_take(lock);
    }
}

void lock_after_fork(struct lock *lock, bool child)
{
    if (child)
        lock_reset(lock);
    else if (lock->forks == 0)
        lock_release(lock);
    else {
        lock->forks--;
        forget(lock);
    }
}

void lock_reset(struct lock *lock)
{
    atomic_store(&lock->state, FREE);
    lock->forks = 0;
    while (times_held(lock) > 0)
        forget(lock);
}

void lock_abandon(void)
{
    while (held.count > 0) {
        held.count--;
        if (held.count < HELD_MOST &&
            (atomic_load(&held.locks[held.count]->state) & ~WAITED) == own_mark())
            give_back(held.locks[held.count]);
    }
}
