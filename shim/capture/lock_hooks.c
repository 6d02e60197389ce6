/* Lock hooks: a lock in dead memory is told before it is entered: poison in a lock word would make
 * the real function hang. Reads nothing of a lock but its first word, and nothing after the call.
 */
#include "capture/real.h"

#include "event/event.h"
#include "heap/arena.h"

static inline bool suspicious(const void *lock)
{
    return guard_active &&
           (arena_contains(lock) ? atomic_load(&arena_object_or_dead(lock)->state) != OBJECT_LIVE
                                 : *(const uint64_t *)lock >> 56 == POISON_FREED);
}

#define LOCK_HOOK(name, parameters, arguments, lock)                                               \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        if (__builtin_expect(suspicious(lock), 0))                                                 \
            event_lock_slow(lock, #name, CALLER_HERE());                                           \
        real_need();                                                                               \
        return real.name arguments;                                                                \
    }

typedef const struct timespec *until;

LOCK_HOOK(pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex), mutex)
LOCK_HOOK(pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex), mutex)
LOCK_HOOK(pthread_mutex_timedlock, (pthread_mutex_t * mutex, until end), (mutex, end), mutex)
LOCK_HOOK(pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, until end),
          (mutex, clock, end), mutex)
LOCK_HOOK(pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex), mutex)
LOCK_HOOK(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
          (condition, mutex), condition)
LOCK_HOOK(pthread_cond_timedwait, (pthread_cond_t * condition, pthread_mutex_t *mutex, until end),
          (condition, mutex, end), condition)
LOCK_HOOK(pthread_cond_clockwait,
          (pthread_cond_t * condition, pthread_mutex_t *mutex, clockid_t clock, until end),
          (condition, mutex, clock, end), condition)
LOCK_HOOK(pthread_cond_signal, (pthread_cond_t * condition), (condition), condition)
LOCK_HOOK(pthread_cond_broadcast, (pthread_cond_t * condition), (condition), condition)
LOCK_HOOK(pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, until end), (lock, end), lock)
LOCK_HOOK(pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, until end), (lock, end), lock)
LOCK_HOOK(pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(sem_wait, (sem_t * semaphore), (semaphore), semaphore)
LOCK_HOOK(sem_trywait, (sem_t * semaphore), (semaphore), semaphore)
LOCK_HOOK(sem_timedwait, (sem_t * semaphore, until end), (semaphore, end), semaphore)
LOCK_HOOK(sem_post, (sem_t * semaphore), (semaphore), semaphore)
LOCK_HOOK(mtx_lock, (mtx_t * mutex), (mutex), mutex)
LOCK_HOOK(mtx_trylock, (mtx_t * mutex), (mutex), mutex)
LOCK_HOOK(mtx_timedlock, (mtx_t * mutex, until end), (mutex, end), mutex)
LOCK_HOOK(mtx_unlock, (mtx_t * mutex), (mutex), mutex)

/* A spinlock is four bytes and may be unaligned to eight: only the arena can be asked. */
static inline bool suspicious_spin(const void *lock)
{
    return guard_active && arena_contains(lock) &&
           atomic_load(&arena_object_or_dead(lock)->state) != OBJECT_LIVE;
}

#define SPIN_HOOK(name)                                                                            \
    EXPORT int name(pthread_spinlock_t *lock)                                                      \
    {                                                                                              \
        if (__builtin_expect(suspicious_spin((const void *)lock), 0))                              \
            event_lock_slow((const void *)lock, #name, CALLER_HERE());                             \
        real_need();                                                                               \
        return real.name(lock);                                                                    \
    }

SPIN_HOOK(pthread_spin_lock)
SPIN_HOOK(pthread_spin_trylock)
SPIN_HOOK(pthread_spin_unlock)
