/* Lock: see lock.h. */
#include "base/lock.h"

#include "base/clock.h"
#include "base/system.h"

#include <linux/futex.h>

enum { FREE, HELD, WAITED };

bool lock_try(struct lock *lock)
{
    uint32_t expected = FREE;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

bool lock_take_within(struct lock *lock, uint64_t milliseconds)
{
    if (lock_try(lock))
        return true;
    uint64_t end = clock_milliseconds() + milliseconds;
    while (atomic_exchange_explicit(&lock->state, WAITED, memory_order_acquire) != FREE) {
        struct timespec pause = {0, 50 * 1000000};
        if (milliseconds != UINT64_MAX && clock_milliseconds() >= end)
            return false;
        (void)system_futex(&lock->state, FUTEX_WAIT_PRIVATE, WAITED,
                           milliseconds == UINT64_MAX ? NULL : &pause);
    }
    return true;
}

void lock_take(struct lock *lock)
{
    (void)lock_take_within(lock, UINT64_MAX);
}

void lock_release(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->state, FREE, memory_order_release) == WAITED)
        (void)system_futex(&lock->state, FUTEX_WAKE_PRIVATE, 1, NULL);
}

void lock_reset(struct lock *lock)
{
    atomic_store(&lock->state, FREE);
}
