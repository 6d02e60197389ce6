/* Callback: see callback.h. */
#include "registry/callback.h"

#include "base/clock.h"

static struct callback callbacks[CALLBACK_SORTS][CALLBACKS]; /* committed as they come */
_Atomic bool callbacks_any[CALLBACK_SORTS];

void callback_set(enum callback_sort sort, uint32_t number, uintptr_t function, uint32_t stack)
{
    if (number >= CALLBACKS || (function == 0 && !atomic_load(&callbacks_any[sort])))
        return;
    struct callback *callback = &callbacks[sort][number];
    atomic_store(&callback->function, 0);
    if (function == 0)
        return;
    callback->stack = stack;
    callback->thread = guard.thread == NULL ? 0 : guard.thread->reference;
    callback->ticks = clock_ticks();
    for (size_t i = 0; i < CALLBACK_HOLDERS; i++)
        atomic_store(&callback->holders[i], 0);
    atomic_store(&callback->timer, 0);
    atomic_store(&callback->timer_state, TIMER_STOPPED);
    atomic_store(&callback->function, function);
    atomic_store(&callbacks_any[sort], true);
}

struct callback *callback_of(enum callback_sort sort, uint32_t number)
{
    struct callback *callback = &callbacks[sort][number];
    return number < CALLBACKS && atomic_load(&callback->function) != 0 ? callback : NULL;
}

static bool runs(thread_reference reference)
{
    const struct thread *thread = thread_of_reference(reference);
    return thread != NULL && thread->state == THREAD_RUNNING;
}

void callback_hold(uint32_t key, bool holds)
{
    struct callback *callback = callback_of(CALLBACK_KEY, key);
    if (callback == NULL || guard.thread == NULL)
        return;
    thread_reference own = guard.thread->reference;
    for (size_t i = 0; i < CALLBACK_HOLDERS; i++) {
        thread_reference holder = atomic_load(&callback->holders[i]);
        if (holder == own) {
            atomic_store(&callback->holders[i], holds ? own : 0);
            return;
        }
    }
    for (size_t i = 0; holds && i < CALLBACK_HOLDERS; i++) {
        thread_reference holder = atomic_load(&callback->holders[i]);
        if (!runs(holder) && atomic_compare_exchange_strong(&callback->holders[i], &holder, own))
            return;
    }
}

thread_reference callback_holder(const struct callback *callback)
{
    for (size_t i = 0; i < CALLBACK_HOLDERS; i++) {
        thread_reference holder = atomic_load(&callback->holders[i]);
        if (runs(holder) && thread_of_reference(holder)->origin != THREAD_MAIN)
            return holder;
    }
    return 0;
}

static struct callback *of_timer(uintptr_t timer)
{
    for (uint32_t number = 0; number < CALLBACKS; number++) {
        struct callback *callback = callback_of(CALLBACK_TIMER, number);
        if (callback != NULL && atomic_load(&callback->timer) == timer)
            return callback;
    }
    return NULL;
}

void callback_timer_set(uintptr_t timer, enum timer_state state)
{
    struct callback *callback = of_timer(timer);
    if (callback != NULL)
        atomic_store(&callback->timer_state, state);
}

void callback_timer_deleted(uintptr_t timer)
{
    struct callback *callback = of_timer(timer);
    if (callback != NULL)
        atomic_store(&callback->function, 0);
}
