/* Lock hooks: a lock in dead memory is told before it is entered: poison in a lock word would make
 * the real function hang. Reads nothing of a lock but its first word, and nothing after the call.
 */
#include "capture/real.h"

#include "event/event.h"
#include "heap/arena.h"
#include "registry/wait.h"

#include <errno.h>

static inline bool suspicious(const void *lock)
{
    if (!guard_active)
        return false;
    if (arena_contains(lock))
        return atomic_load(&arena_object_or_dead(lock)->state) != OBJECT_LIVE;
    /* First: its page may have been taken away. */
    return static_object_may_hold(lock) || *(const uint64_t *)lock >> 56 == POISON_FREED;
}

/* A call on a lock in a guarded object is kept while it goes on, where it waits or where some
 * object is being destroyed. */
#define KEPT(when, lock, is_mutex, name, call)                                                     \
    if (__builtin_expect(when, 0) && arena_contains(lock)) {                                       \
        struct thread_touch *touch = event_touch_begin(lock, is_mutex, #name, CALLER_HERE());      \
        int result = call;                                                                         \
        event_touch_end(touch);                                                                    \
        return result;                                                                             \
    }

#define WAIT_FOR(lock)                                                                             \
    _Generic(lock, pthread_mutex_t *                                                               \
             : WAIT_MUTEX, pthread_rwlock_t *                                                      \
             : WAIT_RWLOCK, pthread_cond_t *                                                       \
             : WAIT_CONDITION, sem_t *                                                             \
             : WAIT_SEMAPHORE)

#define IS_MUTEX(lock) _Generic(lock, pthread_mutex_t * : true, default : false)

#define LOCK_HOOK(name, parameters, arguments, lock)                                               \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        if (__builtin_expect(suspicious(lock), 0))                                                 \
            event_lock_slow(lock, #name, CALLER_HERE());                                           \
        real_need();                                                                               \
        KEPT(event_destroying(), lock, IS_MUTEX(lock), name, real.name arguments)                  \
        return real.name arguments;                                                                \
    }

#define RELEASE_HOOK(name, parameters, arguments, lock)                                            \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        if (__builtin_expect(suspicious(lock), 0))                                                 \
            event_lock_slow(lock, #name, CALLER_HERE());                                           \
        real_need();                                                                               \
        return real.name arguments;                                                                \
    }

/* `kept`: what the call takes at its end. A condition variable may go while threads that were
 * notified have not left their waits; the mutex that they take then may not. */
#define WAIT_HOOK(name, parameters, arguments, object, kept)                                       \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        if (__builtin_expect(suspicious(object), 0))                                               \
            event_lock_slow(object, #name, CALLER_HERE());                                         \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct thread_wait *wait =                                                                 \
            wait_begin(WAIT_FOR(object), #name, object, kept, CALLER_HERE());                      \
        KEPT(guard_active, kept, IS_MUTEX(kept), name, NOTED(wait, real.name arguments))           \
        return NOTED(wait, real.name arguments);                                                   \
    }

/* The call, and the end of the note of it. */
#define NOTED(wait, call)                                                                          \
    ({                                                                                             \
        int noted = call;                                                                          \
        wait_end(wait);                                                                            \
        noted;                                                                                     \
    })

#define SIGNAL_HOOK(name, parameters, arguments, object)                                           \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        if (__builtin_expect(suspicious(object), 0))                                               \
            event_lock_slow(object, #name, CALLER_HERE());                                         \
        real_need();                                                                               \
        wait_note_signal(object);                                                                  \
        return real.name arguments;                                                                \
    }

typedef const struct timespec *until;

LOCK_HOOK(pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex), mutex)
LOCK_HOOK(pthread_mutex_timedlock, (pthread_mutex_t * mutex, until end), (mutex, end), mutex)
LOCK_HOOK(pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, until end),
          (mutex, clock, end), mutex)
RELEASE_HOOK(pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex), mutex)
WAIT_HOOK(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex),
          (condition, mutex), condition, mutex)
WAIT_HOOK(pthread_cond_timedwait, (pthread_cond_t * condition, pthread_mutex_t *mutex, until end),
          (condition, mutex, end), condition, mutex)
WAIT_HOOK(pthread_cond_clockwait,
          (pthread_cond_t * condition, pthread_mutex_t *mutex, clockid_t clock, until end),
          (condition, mutex, clock, end), condition, mutex)
SIGNAL_HOOK(pthread_cond_signal, (pthread_cond_t * condition), (condition), condition)
SIGNAL_HOOK(pthread_cond_broadcast, (pthread_cond_t * condition), (condition), condition)
LOCK_HOOK(pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, until end), (lock, end), lock)
LOCK_HOOK(pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), (lock), lock)
LOCK_HOOK(pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, until end), (lock, end), lock)
LOCK_HOOK(pthread_rwlock_clockrdlock, (pthread_rwlock_t * lock, clockid_t clock, until end),
          (lock, clock, end), lock)
LOCK_HOOK(pthread_rwlock_clockwrlock, (pthread_rwlock_t * lock, clockid_t clock, until end),
          (lock, clock, end), lock)
RELEASE_HOOK(pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock), lock)
WAIT_HOOK(sem_wait, (sem_t * semaphore), (semaphore), semaphore, semaphore)
LOCK_HOOK(sem_trywait, (sem_t * semaphore), (semaphore), semaphore)
WAIT_HOOK(sem_timedwait, (sem_t * semaphore, until end), (semaphore, end), semaphore, semaphore)
SIGNAL_HOOK(sem_post, (sem_t * semaphore), (semaphore), semaphore)
LOCK_HOOK(mtx_lock, (mtx_t * mutex), (mutex), mutex)
LOCK_HOOK(mtx_trylock, (mtx_t * mutex), (mutex), mutex)
LOCK_HOOK(mtx_timedlock, (mtx_t * mutex, until end), (mutex, end), mutex)
RELEASE_HOOK(mtx_unlock, (mtx_t * mutex), (mutex), mutex)

/* Locks that wait for ever. The lock may die between the look and the wait, and a poisoned one is
 * never released: so the wait is cut into seconds, with a look after each. A waiter changes the
 * first word; the second still tells. */
static inline bool died_meanwhile(const void *lock)
{
    return suspicious(lock) ||
           (!arena_contains(lock) && ((const uint64_t *)lock)[1] >> 56 == POISON_FREED);
}

#define WAITING_HOOK(name, type, try, clocked)                                                     \
    static int wait_##name(type *lock, struct caller caller)                                       \
    {                                                                                              \
        event_waited();                                                                            \
        struct thread_wait *wait = wait_begin(WAIT_FOR(lock), #name, lock, NULL, caller);          \
        for (;;) {                                                                                 \
            struct timespec end;                                                                   \
            clock_gettime(CLOCK_MONOTONIC, &end);                                                  \
            end.tv_sec++;                                                                          \
            int result = real.clocked(lock, CLOCK_MONOTONIC, &end);                                \
            if (result == EINVAL) /* a kind of lock that cannot wait with a clock */               \
                result = real.name(lock);                                                          \
            if (result != ETIMEDOUT) {                                                             \
                wait_end(wait);                                                                    \
                return result;                                                                     \
            }                                                                                      \
            if (died_meanwhile(lock))                                                              \
                event_lock_slow(lock, #name, caller);                                              \
        }                                                                                          \
    }                                                                                              \
    EXPORT int name(type *lock)                                                                    \
    {                                                                                              \
        if (__builtin_expect(suspicious(lock), 0))                                                 \
            event_lock_slow(lock, #name, CALLER_HERE());                                           \
        real_need();                                                                               \
        if (!guard_active || real.clocked == NULL)                                                 \
            return real.name(lock);                                                                \
        if (!event_destroying() || !arena_contains(lock)) {                                        \
            int result = real.try(lock);                                                           \
            if (__builtin_expect(result != EBUSY, 1))                                              \
                return result;                                                                     \
        }                                                                                          \
        KEPT(true, lock, IS_MUTEX(lock), name, wait_##name(lock, CALLER_HERE()))                   \
        return wait_##name(lock, CALLER_HERE());                                                   \
    }

WAITING_HOOK(pthread_mutex_lock, pthread_mutex_t, pthread_mutex_trylock, pthread_mutex_clocklock)
WAITING_HOOK(pthread_rwlock_rdlock, pthread_rwlock_t, pthread_rwlock_tryrdlock,
             pthread_rwlock_clockrdlock)
WAITING_HOOK(pthread_rwlock_wrlock, pthread_rwlock_t, pthread_rwlock_trywrlock,
             pthread_rwlock_clockwrlock)

/* A spinlock is four bytes and may be unaligned to eight: it holds no poison. */
static inline bool suspicious_spin(const void *lock)
{
    return guard_active &&
           (arena_contains(lock) ? atomic_load(&arena_object_or_dead(lock)->state) != OBJECT_LIVE
                                 : static_object_may_hold(lock));
}

#define SPIN_HOOK(name)                                                                            \
    EXPORT int name(pthread_spinlock_t *lock)                                                      \
    {                                                                                              \
        if (__builtin_expect(suspicious_spin((const void *)lock), 0))                              \
            event_lock_slow((const void *)lock, #name, CALLER_HERE());                             \
        real_need();                                                                               \
        KEPT(event_destroying(), (const void *)lock, false, name, real.name(lock))                 \
        return real.name(lock);                                                                    \
    }

SPIN_HOOK(pthread_spin_lock)
SPIN_HOOK(pthread_spin_trylock)
SPIN_HOOK(pthread_spin_unlock)
