/* Callback hooks: keys of thread-specific data with their destructors, and timers: what calls a
 * function of the program later. Of interest are functions that can be unloaded. A program's
 * allocator may use keys under its own locks: nothing is allocated here. */
#include "capture/real.h"
#include "capture/threads.h"

#include "event/event.h"

#include <errno.h>

static void note_key(uint32_t key, void (*destructor)(void *), struct caller caller)
{
    int saved = errno;
    if (atomic_load(&library_any_opened))
        event_callback(CALLBACK_KEY, key, (uintptr_t)destructor, caller);
    errno = saved;
}

static inline void note_value(uint32_t key, const void *value)
{
    if (__builtin_expect(atomic_load_explicit(&callbacks_any[CALLBACK_KEY], memory_order_relaxed),
                         0) &&
        callback_of(CALLBACK_KEY, key) != NULL)
        event_key_value(key, value != NULL);
}

EXPORT int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    real_need();
    int failure = real.pthread_key_create(key, destructor);
    if (failure == 0)
        note_key(*key, destructor, CALLER_HERE());
    return failure;
}

EXPORT int pthread_key_delete(pthread_key_t key)
{
    real_need();
    note_key(key, NULL, CALLER_HERE()); /* before: after it the key may be another one */
    return real.pthread_key_delete(key);
}

EXPORT int pthread_setspecific(pthread_key_t key, const void *value)
{
    real_need();
    int failure = real.pthread_setspecific(key, value);
    if (failure == 0)
        note_value(key, value);
    return failure;
}

EXPORT int tss_create(tss_t *key, tss_dtor_t destructor)
{
    real_need();
    int result = real.tss_create(key, destructor);
    if (result == thrd_success)
        note_key(*key, destructor, CALLER_HERE());
    return result;
}

EXPORT void tss_delete(tss_t key)
{
    real_need();
    note_key(key, NULL, CALLER_HERE());
    real.tss_delete(key);
}

EXPORT int tss_set(tss_t key, void *value)
{
    real_need();
    int result = real.tss_set(key, value);
    if (result == thrd_success)
        note_value(key, value);
    return result;
}

static bool any_timer(void)
{
    return atomic_load(&callbacks_any[CALLBACK_TIMER]);
}

EXPORT int timer_settime(timer_t timer, int flags, const struct itimerspec *restrict wanted,
                         struct itimerspec *restrict before)
{
    real_need();
    enum timer_state state = TIMER_STOPPED;
    if (any_timer() && wanted != NULL &&
        (wanted->it_value.tv_sec != 0 || wanted->it_value.tv_nsec != 0)) {
        bool repeats = wanted->it_interval.tv_sec != 0 || wanted->it_interval.tv_nsec != 0;
        state = repeats ? TIMER_REPEATS : TIMER_ONCE;
    }
    if (any_timer()) /* before: it may fire at once */
        callback_timer_set((uintptr_t)timer, state);
    return real.timer_settime(timer, flags, wanted, before);
}

EXPORT int timer_delete(timer_t timer)
{
    real_need();
    if (any_timer()) /* before: after it the number may be another timer's */
        callback_timer_deleted((uintptr_t)timer);
    threads_timer_deleted(timer);
    return real.timer_delete(timer);
}
