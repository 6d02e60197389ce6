/* Lock hooks: a lock in dead memory, or one that was destroyed, is told before it is entered:
 * poison in a lock word would make the real function hang. What a thread takes is noted after the
 * call, what it releases before it, and nothing of a lock is read after its release. */
#include "capture/lock_look.h"
#include "event/use.h"
#include "registry/wait.h"

#include <errno.h>

/* A call on a lock in a guarded object is kept while it goes on, where it waits or where some
 * object is being destroyed. */
static inline struct thread_touch *kept(bool when, const void *lock, bool is_mutex,
                                        const char *name, struct caller caller)
{
    return __builtin_expect(when, 0) && arena_contains(lock)
               ? event_touch_begin(lock, is_mutex, name, caller)
               : NULL;
}

/* C11's and pthread's condition waits return why, a semaphore's sets errno. */
static inline bool has_timed_out(int result, bool is_condition)
{
    return is_condition ? result == ETIMEDOUT || result == thrd_timedout
                        : result != 0 && errno == ETIMEDOUT;
}

static inline bool is_taken(int result)
{
    return __builtin_expect(result == 0, 1) || result == EOWNERDEAD;
}

#define IS_MUTEX(lock) (LOCK_SORT(lock) == LOCK_MUTEX)
#define WAIT_FOR(lock) wait_for_lock(LOCK_SORT(lock))

#define LOOK_ALONE(lock, name)                                                                     \
    if (__builtin_expect(lock_is_suspicious(lock), 0))                                             \
        event_lock_slow(lock, false, #name, CALLER_HERE());

#define LOOK(lock, name)                                                                           \
    LOOK_ALONE(lock, name)                                                                         \
    event_touched(lock, USE_LOCK, #name, CALLER_HERE());

/* waits: or fails at once. */
#define TAKE_HOOK(name, parameters, arguments, lock, how, waits)                                   \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        struct thread_wait before, *wait = NULL;                                                   \
        LOOK(lock, name)                                                                           \
        real_need();                                                                               \
        struct thread_touch *touch =                                                               \
            kept(event_destroying(), lock, IS_MUTEX(lock), #name, CALLER_HERE());                  \
        if (waits)                                                                                 \
            wait = wait_begin(&before, WAIT_FOR(lock), #name, lock, NULL, CALLER_HERE());          \
        int result = real.name arguments;                                                          \
        if (waits)                                                                                 \
            wait_end(wait, &before);                                                               \
        event_touch_end(touch);                                                                    \
        if (is_taken(result))                                                                      \
            event_lock_taken(lock, how, CALLER_HERE());                                            \
        return result;                                                                             \
    }

/* Who releases has taken: that was noted as a use. */
#define RELEASE_HOOK(name, parameters, arguments, lock)                                            \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        LOOK_ALONE(lock, name)                                                                     \
        real_need();                                                                               \
        event_lock_released(lock);                                                                 \
        return real.name arguments;                                                                \
    }

/* Of what nobody holds; a semaphore that was had tells. */
#define TELL_HOOK(name, parameters, arguments, object)                                             \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        LOOK(object, name)                                                                         \
        real_need();                                                                               \
        event_was_told(object);                                                                    \
        return real.name arguments;                                                                \
    }

/* `taken`: what the call takes at its end. A condition variable may go while threads that were
 * notified have not left their waits; the mutex that they take then may not. */
#define WAIT_HOOK(name, parameters, arguments, object, taken)                                      \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        struct thread_wait before;                                                                 \
        LOOK(object, name)                                                                         \
        event_told(taken);                                                                         \
        if (IS_MUTEX(taken)) {                                                                     \
            LOOK(taken, name)                                                                      \
        }                                                                                          \
        real_need();                                                                               \
        event_waited();                                                                            \
        event_pauses();                                                                            \
        struct thread_touch *touch =                                                               \
            kept(guard_active, taken, IS_MUTEX(taken), #name, CALLER_HERE());                      \
        struct thread_wait *wait = wait_begin(&before, WAIT_FOR(object), #name, object,            \
                                              IS_MUTEX(taken) ? taken : NULL, CALLER_HERE());      \
        int result = real.name arguments;                                                          \
        wait_end(wait, &before);                                                                   \
        event_touch_end(touch);                                                                    \
        event_was_told(object);                                                                    \
        if (has_timed_out(result, IS_MUTEX(taken)))                                                \
            event_pause_timed_out();                                                               \
        if (IS_MUTEX(taken)) { /* which it took at its end */                                      \
            event_touched(taken, USE_LOCK, #name, CALLER_HERE());                                  \
            event_was_told(taken);                                                                 \
        }                                                                                          \
        return result;                                                                             \
    }

#define SIGNAL_HOOK(name, parameters, arguments, object)                                           \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        LOOK(object, name)                                                                         \
        real_need();                                                                               \
        wait_note_signal(object);                                                                  \
        event_told(object);                                                                        \
        return real.name arguments;                                                                \
    }

typedef const struct timespec *until;

TAKE_HOOK(pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex), mutex, HELD_MUTEX, false)
TAKE_HOOK(pthread_mutex_timedlock, (pthread_mutex_t * mutex, until end), (mutex, end), mutex,
          HELD_MUTEX, true)
TAKE_HOOK(pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, until end),
          (mutex, clock, end), mutex, HELD_MUTEX, true)
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
TAKE_HOOK(pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), (lock), lock, HELD_READ, false)
TAKE_HOOK(pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, until end), (lock, end), lock,
          HELD_READ, true)
TAKE_HOOK(pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), (lock), lock, HELD_WRITE, false)
TAKE_HOOK(pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, until end), (lock, end), lock,
          HELD_WRITE, true)
TAKE_HOOK(pthread_rwlock_clockrdlock, (pthread_rwlock_t * lock, clockid_t clock, until end),
          (lock, clock, end), lock, HELD_READ, true)
TAKE_HOOK(pthread_rwlock_clockwrlock, (pthread_rwlock_t * lock, clockid_t clock, until end),
          (lock, clock, end), lock, HELD_WRITE, true)
RELEASE_HOOK(pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock), lock)
WAIT_HOOK(sem_wait, (sem_t * semaphore), (semaphore), semaphore, semaphore)
TELL_HOOK(sem_trywait, (sem_t * semaphore), (semaphore), semaphore)
WAIT_HOOK(sem_timedwait, (sem_t * semaphore, until end), (semaphore, end), semaphore, semaphore)
WAIT_HOOK(sem_clockwait, (sem_t * semaphore, clockid_t clock, until end), (semaphore, clock, end),
          semaphore, semaphore)
TELL_HOOK(sem_getvalue, (sem_t * semaphore, int *value), (semaphore, value), semaphore)
TELL_HOOK(pthread_mutex_consistent, (pthread_mutex_t * mutex), (mutex), mutex)
TELL_HOOK(pthread_mutex_getprioceiling, (const pthread_mutex_t *mutex, int *ceiling),
          (mutex, ceiling), mutex)
TELL_HOOK(pthread_mutex_setprioceiling, (pthread_mutex_t * mutex, int ceiling, int *before),
          (mutex, ceiling, before), mutex)
SIGNAL_HOOK(sem_post, (sem_t * semaphore), (semaphore), semaphore)
WAIT_HOOK(pthread_barrier_wait, (pthread_barrier_t * barrier), (barrier), barrier, barrier)
TAKE_HOOK(mtx_lock, (mtx_t * mutex), (mutex), mutex, HELD_MUTEX, true)
TAKE_HOOK(mtx_trylock, (mtx_t * mutex), (mutex), mutex, HELD_MUTEX, false)
TAKE_HOOK(mtx_timedlock, (mtx_t * mutex, until end), (mutex, end), mutex, HELD_MUTEX, true)
RELEASE_HOOK(mtx_unlock, (mtx_t * mutex), (mutex), mutex)
WAIT_HOOK(cnd_wait, (cnd_t * condition, mtx_t *mutex), (condition, mutex), condition, mutex)
WAIT_HOOK(cnd_timedwait, (cnd_t * condition, mtx_t *mutex, until end), (condition, mutex, end),
          condition, mutex)
SIGNAL_HOOK(cnd_signal, (cnd_t * condition), (condition), condition)
SIGNAL_HOOK(cnd_broadcast, (cnd_t * condition), (condition), condition)

/* Locks that wait for ever. The lock may die between the look and the wait, and a poisoned one is
 * never released: so the wait is cut into seconds, with a look after each. A waiter changes the
 * first word; the second still tells. */
static inline bool died_meanwhile(const void *lock)
{
    return lock_is_suspicious(lock) ||
           (!arena_contains(lock) && ((const uint64_t *)lock)[1] >> 56 == POISON_FREED);
}

#define WAITING_HOOK(name, type, how, try, clocked)                                                \
    static __attribute__((noinline)) int wait_##name(type *lock, struct caller caller)             \
    {                                                                                              \
        struct thread_wait before;                                                                 \
        event_waited();                                                                            \
        struct thread_touch *touch = kept(true, lock, IS_MUTEX(lock), #name, caller);              \
        struct thread_wait *wait = wait_begin(&before, WAIT_FOR(lock), #name, lock, NULL, caller); \
        int result;                                                                                \
        for (;;) {                                                                                 \
            struct timespec end;                                                                   \
            clock_gettime(CLOCK_MONOTONIC, &end);                                                  \
            end.tv_sec++;                                                                          \
            result = real.clocked(lock, CLOCK_MONOTONIC, &end);                                    \
            if (result == EINVAL) /* a kind of lock that cannot wait with a clock */               \
                result = real.name(lock);                                                          \
            if (result != ETIMEDOUT)                                                               \
                break;                                                                             \
            if (died_meanwhile(lock))                                                              \
                event_lock_slow(lock, false, #name, caller);                                       \
        }                                                                                          \
        wait_end(wait, &before);                                                                   \
        event_touch_end(touch);                                                                    \
        return result;                                                                             \
    }                                                                                              \
    EXPORT int name(type *lock)                                                                    \
    {                                                                                              \
        LOOK(lock, name)                                                                           \
        real_need();                                                                               \
        if (__builtin_expect(!guard_active, 0) ||                                                  \
            real_is_missing((const void *)(uintptr_t)real.clocked))                                \
            return real.name(lock);                                                                \
        int result = EBUSY;                                                                        \
        if (__builtin_expect(!event_destroying() || !arena_contains(lock), 1))                     \
            result = real.try(lock);                                                               \
        if (__builtin_expect(result == EBUSY, 0))                                                  \
            result = wait_##name(lock, CALLER_HERE());                                             \
        if (is_taken(result))                                                                      \
            event_lock_taken(lock, how, CALLER_HERE());                                            \
        return result;                                                                             \
    }

WAITING_HOOK(pthread_mutex_lock, pthread_mutex_t, HELD_MUTEX, pthread_mutex_trylock,
             pthread_mutex_clocklock)
WAITING_HOOK(pthread_rwlock_rdlock, pthread_rwlock_t, HELD_READ, pthread_rwlock_tryrdlock,
             pthread_rwlock_clockrdlock)
WAITING_HOOK(pthread_rwlock_wrlock, pthread_rwlock_t, HELD_WRITE, pthread_rwlock_trywrlock,
             pthread_rwlock_clockwrlock)

#define SPIN_LOOK(lock, name)                                                                      \
    if (__builtin_expect(lock_spin_is_suspicious((const void *)lock), 0))                          \
        event_lock_slow((const void *)lock, true, #name, CALLER_HERE());

#define SPIN_HOOK(name)                                                                            \
    EXPORT int name(pthread_spinlock_t *lock)                                                      \
    {                                                                                              \
        SPIN_LOOK(lock, name)                                                                      \
        event_touched((const void *)lock, USE_LOCK, #name, CALLER_HERE());                         \
        real_need();                                                                               \
        struct thread_touch *touch =                                                               \
            kept(event_destroying(), (const void *)lock, false, #name, CALLER_HERE());             \
        int result = real.name(lock);                                                              \
        event_touch_end(touch);                                                                    \
        if (result == 0)                                                                           \
            event_lock_taken((const void *)lock, HELD_SPIN, CALLER_HERE());                        \
        return result;                                                                             \
    }

SPIN_HOOK(pthread_spin_lock)
SPIN_HOOK(pthread_spin_trylock)

EXPORT int pthread_spin_unlock(pthread_spinlock_t *lock)
{
    SPIN_LOOK(lock, pthread_spin_unlock)
    real_need();
    event_lock_released((const void *)lock);
    return real.pthread_spin_unlock(lock);
}
