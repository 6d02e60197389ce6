/* Lock look: what the hooks of locks look at before the real call: freed memory, dead static
 * objects, and locks that were destroyed. Reads nothing of a lock but its first words. */
#ifndef OUTLIVE_CAPTURE_LOCK_LOOK_H
#define OUTLIVE_CAPTURE_LOCK_LOOK_H

#include "capture/real.h"

#include "event/lock.h"
#include "registry/destroyed_lock.h"

/* Poison's and a destroyed lock's top byte. The byte alone is read: the lock word beside it was
 * just written by an atomic operation, and a read across both waits for that. */
static inline bool lock_holds_mark(const void *lock)
{
    _Static_assert(DESTROYED_LOCK_MARK >> 1 == POISON_FREED >> 1, "one comparison finds both");
    return ((const volatile unsigned char *)lock)[7] >> 1 == POISON_FREED >> 1;
}

static inline bool lock_memory_is_dead(const void *lock)
{
    return arena_contains(lock) && atomic_load(&arena_object_or_dead(lock)->state) != OBJECT_LIVE;
}

static inline bool lock_is_suspicious(const void *lock)
{
    if (!guard_active)
        return false;
    /* First: its page may have been taken away. */
    return lock_memory_is_dead(lock) || static_object_may_hold(lock) || lock_holds_mark(lock);
}

/* A spinlock is four bytes and may be unaligned to eight: it holds no poison. */
static inline bool lock_spin_is_suspicious(const void *lock)
{
    return guard_active && (lock_memory_is_dead(lock) || static_object_may_hold(lock) ||
                            ((const volatile unsigned char *)lock)[3] == DESTROYED_SPIN_MARK);
}

#define LOCK_SORT(lock)                                                                            \
    _Generic(lock, pthread_mutex_t *                                                               \
             : LOCK_MUTEX, mtx_t *                                                                 \
             : LOCK_MUTEX, pthread_rwlock_t *                                                      \
             : LOCK_RWLOCK, pthread_cond_t *                                                       \
             : LOCK_CONDITION, cnd_t *                                                             \
             : LOCK_CONDITION, sem_t *                                                             \
             : LOCK_SEMAPHORE, pthread_barrier_t *                                                 \
             : LOCK_BARRIER, pthread_spinlock_t *                                                  \
             : LOCK_SPIN)

#endif
