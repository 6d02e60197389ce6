/* Hooks of the calls that end a lock: its users are told before, and it is known as destroyed after
 * one that succeeded. */
#include "capture/lock_look.h"

static bool destroying(const void *lock, enum lock_sort sort, const char *function,
                       struct caller caller)
{
    bool suspicious = sort == LOCK_SPIN ? lock_spin_is_suspicious(lock) : lock_is_suspicious(lock);
    if (__builtin_expect(suspicious, 0))
        event_lock_destroying_slow(lock, sort, function, caller);
    real_need();
    return guard_active && event_lock_destroying(lock, sort, function, caller);
}

#define DESTROY_HOOK(name, type)                                                                   \
    EXPORT int name(type *lock)                                                                    \
    {                                                                                              \
        const void *address = (const void *)lock;                                                  \
        bool watched = destroying(address, LOCK_SORT(lock), #name, CALLER_HERE());                 \
        int result = real.name(lock);                                                              \
        if (watched && result == 0)                                                                \
            event_lock_destroyed(address, LOCK_SORT(lock), #name, CALLER_HERE());                  \
        return result;                                                                             \
    }

#define DESTROY_HOOK_WITHOUT_RESULT(name, type)                                                    \
    EXPORT void name(type *lock)                                                                   \
    {                                                                                              \
        bool watched = destroying(lock, LOCK_SORT(lock), #name, CALLER_HERE());                    \
        real.name(lock);                                                                           \
        if (watched)                                                                               \
            event_lock_destroyed(lock, LOCK_SORT(lock), #name, CALLER_HERE());                     \
    }

DESTROY_HOOK(pthread_mutex_destroy, pthread_mutex_t)
DESTROY_HOOK(pthread_cond_destroy, pthread_cond_t)
DESTROY_HOOK(pthread_rwlock_destroy, pthread_rwlock_t)
DESTROY_HOOK(pthread_barrier_destroy, pthread_barrier_t)
DESTROY_HOOK(pthread_spin_destroy, pthread_spinlock_t)
DESTROY_HOOK(sem_destroy, sem_t)
DESTROY_HOOK_WITHOUT_RESULT(mtx_destroy, mtx_t)
DESTROY_HOOK_WITHOUT_RESULT(cnd_destroy, cnd_t)
