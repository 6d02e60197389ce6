/* Thread hooks: creation, joining and ending of threads. A thread enters the program's start
 * routine through the shim; its end is told by a key destructor that runs in the last round, after
 * the program's own. */
#include "capture/filters.h"
#include "capture/real.h"
#include "capture/signals.h"
#include "capture/threads.h"

#include "base/memory.h"
#include "event/event.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static pthread_key_t end_key;
static bool key_made;

static void at_end(void *round)
{
    uintptr_t rounds = (uintptr_t)round;
    if (rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        /* Other destructors may still use memory and objects: come back in the next round. */
        (void)real.pthread_setspecific(end_key, (void *)(rounds + 1));
        return;
    }
    if (guard.thread == NULL)
        return;
    guard_abandon(); /* cancelled, or ended by a signal handler, in a hook */
    guard_set(GUARD_FOR_GOOD);
    signals_leave_thread();
    event_thread_end();
}

bool threads_start(void)
{
    key_made = real.pthread_key_create(&end_key, at_end) == 0;
    return key_made;
}

void threads_equip(void)
{
    signals_enter_thread();
    if (key_made)
        (void)real.pthread_setspecific(end_key, (void *)(uintptr_t)1);
}

static void begin(struct thread *thread)
{
    uintptr_t before = guard_hold(GUARD_FRAME);
    guard.blocked = thread->inherited_blocked;
    thread_begin(thread);
    thread_ending(THREAD_CANCELLED); /* until it returns or says otherwise */
    threads_equip();
    guard_let_go(before);
}

/* In the function that calls the program's. */
#define BEGIN_FRAMES()                                                                             \
    do {                                                                                           \
        uintptr_t pointer;                                                                         \
        __asm__ volatile("mov %%rsp, %0" : "=r"(pointer));                                         \
        char *top = __builtin_alloca(thread_stack_padding(pointer));                               \
        __asm__ volatile("" : "+r"(top) : : "memory");                                             \
        thread_stack_entered((uintptr_t)top);                                                      \
    } while (0)

static void *run_posix(void *opaque)
{
    struct thread *thread = opaque;
    void *(*entry)(void *);
    __builtin_memcpy(&entry, &thread->entry, sizeof entry);
    void *argument = thread->argument;
    begin(thread);
    BEGIN_FRAMES();
    void *result = entry(argument);
    thread_ending(THREAD_RETURNED);
    return result;
}

static int run_c11(void *opaque)
{
    struct thread *thread = opaque;
    int (*entry)(void *);
    __builtin_memcpy(&entry, &thread->entry, sizeof entry);
    void *argument = thread->argument;
    begin(thread);
    BEGIN_FRAMES();
    int result = entry(argument);
    thread_ending(THREAD_RETURNED);
    return result;
}

static void *run_c11_on_ours(void *opaque)
{
    return (void *)(intptr_t)run_c11(opaque); /* as libc keeps its result (nptl/pthread_create.c) */
}

static struct thread *told_creation(void *entry, void *argument, struct caller caller)
{
    if (!guard_enter())
        return NULL;
    struct thread *thread = event_thread_create(entry, argument, THREAD_CREATED, caller);
    if (thread != NULL)
        thread->inherited_blocked = guard.blocked;
    guard_leave();
    return thread;
}

static void tell_result(struct thread *thread, bool made, pthread_t handle)
{
    if (!guard_enter())
        return;
    if (made)
        thread_set_handle(thread, handle);
    else
        thread_failed(thread);
    guard_leave();
}

EXPORT int pthread_create(pthread_t *handle, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *argument)
{
    void *entry_address;
    __builtin_memcpy(&entry_address, &entry, sizeof entry);
    real_need();
    struct thread *thread = told_creation(entry_address, argument, CALLER_HERE());
    if (thread == NULL)
        return real.pthread_create(handle, attributes, entry, argument);
    if (attributes != NULL) {
        int state = PTHREAD_CREATE_JOINABLE;
        (void)pthread_attr_getdetachstate(attributes, &state);
        thread->detached = state == PTHREAD_CREATE_DETACHED;
        (void)pthread_attr_getstacksize(attributes, &thread->stack_size);
        (void)pthread_attr_getguardsize(attributes, &thread->guard_size);
    }
    pthread_attr_t ours;
    struct thread_stack *stack = thread_stack_supply(thread, attributes, &ours);
    int result = EAGAIN;
    if (stack != NULL) {
        result = real.pthread_create(handle, &ours, run_posix, thread);
        thread_stack_tell(thread, stack, result == 0);
    }
    if (result != 0)
        result = real.pthread_create(handle, attributes, run_posix, thread);
    tell_result(thread, result == 0, result == 0 ? *handle : 0);
    return result;
}

EXPORT int thrd_create(thrd_t *handle, thrd_start_t entry, void *argument)
{
    void *entry_address;
    __builtin_memcpy(&entry_address, &entry, sizeof entry);
    real_need();
    struct thread *thread = told_creation(entry_address, argument, CALLER_HERE());
    if (thread == NULL)
        return real.thrd_create(handle, entry, argument);
    pthread_attr_t ours;
    struct thread_stack *stack = thread_stack_supply(thread, NULL, &ours);
    int result = thrd_error;
    if (stack != NULL) {
        bool made = real.pthread_create(handle, &ours, run_c11_on_ours, thread) == 0;
        thread_stack_tell(thread, stack, made);
        result = made ? thrd_success : thrd_error;
    }
    if (result != thrd_success)
        result = real.thrd_create(handle, run_c11, thread);
    tell_result(thread, result == thrd_success, result == thrd_success ? *handle : 0);
    return result;
}

static struct thread *joining(pthread_t handle)
{
    if (!guard_enter())
        return NULL;
    struct thread *thread = thread_of_handle(handle);
    if (thread != NULL)
        thread_joining(thread);
    guard_leave();
    return thread;
}

/* stack: of the thread, whose record may be another's after the call that joins it. */
static void joined(struct thread *thread, struct thread_stack *stack, bool ok, struct caller caller)
{
    if (thread == NULL || !guard_enter())
        return;
    thread_join_ended(thread, ok);
    if (ok && stack != NULL)
        thread_stack_joined(stack, stack_keep(caller));
    guard_leave();
}

static struct thread_stack *stack_of(const struct thread *thread)
{
    return thread == NULL ? NULL : thread->stack;
}

#define JOIN_HOOK(name, parameters, arguments)                                                     \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        struct thread *thread = joining(handle);                                                   \
        struct thread_stack *stack = stack_of(thread);                                             \
        event_waited();                                                                            \
        int failure = real.name arguments;                                                         \
        joined(thread, stack, failure == 0, CALLER_HERE());                                        \
        return failure;                                                                            \
    }

JOIN_HOOK(pthread_join, (pthread_t handle, void **result), (handle, result))
JOIN_HOOK(pthread_tryjoin_np, (pthread_t handle, void **result), (handle, result))
JOIN_HOOK(pthread_timedjoin_np, (pthread_t handle, void **result, const struct timespec *end),
          (handle, result, end))
JOIN_HOOK(pthread_clockjoin_np,
          (pthread_t handle, void **result, clockid_t clock, const struct timespec *end),
          (handle, result, clock, end))
JOIN_HOOK(thrd_join, (thrd_t handle, int *result), (handle, result))
_Static_assert(thrd_success == 0, "thrd_join tells success as pthread_join does");

/* Before the call: after it the handle may be another thread's. Its stack, if that is ours. */
static struct thread_stack *detaching(pthread_t handle)
{
    if (!guard_enter())
        return NULL;
    struct thread *thread = thread_of_handle(handle);
    struct thread_stack *stack = stack_of(thread);
    if (thread != NULL)
        thread_detached(thread);
    guard_leave();
    return stack;
}

static void detached(struct thread_stack *stack, bool ok)
{
    if (stack == NULL || !ok || !guard_enter())
        return;
    thread_stack_detached(stack);
    guard_leave();
}

EXPORT int pthread_detach(pthread_t handle)
{
    real_need();
    struct thread_stack *stack = detaching(handle);
    int failure = real.pthread_detach(handle);
    detached(stack, failure == 0);
    return failure;
}

EXPORT int thrd_detach(thrd_t handle)
{
    real_need();
    struct thread_stack *stack = detaching(handle);
    int failure = real.thrd_detach(handle);
    detached(stack, failure == thrd_success);
    return failure;
}

EXPORT int pthread_cancel(pthread_t handle)
{
    real_need();
    if (guard_enter()) {
        struct thread *thread = thread_of_handle(handle);
        if (thread != NULL)
            thread_cancelled(thread);
        guard_leave();
    }
    return real.pthread_cancel(handle);
}

static void note_exit(struct caller caller)
{
    if (!guard_enter())
        return;
    thread_stack_exits(caller);
    guard_leave();
}

EXPORT void pthread_exit(void *result)
{
    real_need();
    thread_ending(THREAD_EXITED);
    guard_abandon();
    note_exit(CALLER_HERE());
    real.pthread_exit(result);
    __builtin_unreachable();
}

EXPORT void thrd_exit(int result)
{
    real_need();
    thread_ending(THREAD_EXITED);
    guard_abandon();
    note_exit(CALLER_HERE());
    real.thrd_exit(result);
    __builtin_unreachable();
}

static void note_name(struct thread *thread, const char *name)
{
    if (thread != NULL && name != NULL) {
        char copy[THREAD_NAME_SIZE] = {0};
        for (size_t i = 0; i < THREAD_NAME_SIZE - 1 && name[i] != '\0'; i++)
            copy[i] = name[i];
        __builtin_memcpy(thread->name, copy, sizeof copy);
    }
}

EXPORT int pthread_setname_np(pthread_t handle, const char *name)
{
    real_need();
    int failure = real.pthread_setname_np(handle, name);
    if (failure == 0 && guard_enter()) {
        note_name(thread_of_handle(handle), name);
        guard_leave();
    }
    return failure;
}

EXPORT int prctl(int option, ...)
{
    va_list list;
    va_start(list, option);
    unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long),
                  c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
    va_end(list);
    real_need();
    filters_prctl(option, a, (const void *)b);
    int result = real.prctl(option, a, b, c, d);
    if (option == PR_SET_NAME && result == 0 && guard_enter()) {
        note_name(thread_current(), (const char *)a);
        guard_leave();
    }
    return result;
}

/* SIGEV_THREAD: libc makes the thread itself, and blocks signals in it. The notification goes
 * through the shim, so that the thread is known and can fault. One entry a timer, oldest reused:
 * notifications of a deleted timer may still be under way. */
#define TIMERS 1024
static struct timer {
    void (*notify)(union sigval);
    union sigval value;
    uint32_t stack;
    thread_reference creator;
} timers[TIMERS];
static _Atomic uint32_t next_timer;

static void notified(union sigval which)
{
    struct timer timer = timers[which.sival_int];
    event_timer_fired((uint32_t)which.sival_int);
    if (guard_enter()) {
        struct thread *thread = thread_current();
        if (thread != NULL) {
            thread->origin = THREAD_TIMER;
            thread->keeps_libc_signals = false;
            thread->start_stack = timer.stack;
            thread->creator = timer.creator;
            __builtin_memcpy(&thread->entry, &timer.notify, sizeof thread->entry);
        }
        signals_open_faults();
        guard_leave();
    }
    timer.notify(timer.value);
    thread_ending(THREAD_RETURNED);
}

EXPORT int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    real_need();
    if (event == NULL || event->sigev_notify != SIGEV_THREAD || !guard_enter())
        return real.timer_create(clock, event, timer);
    uint32_t number = atomic_fetch_add(&next_timer, 1) % TIMERS;
    struct thread *creator = thread_current();
    timers[number] =
        (struct timer){event->sigev_notify_function, event->sigev_value, stack_keep(CALLER_HERE()),
                       creator == NULL ? 0 : creator->reference};
    guard_leave();
    struct sigevent ours = *event;
    ours.sigev_notify_function = notified;
    ours.sigev_value.sival_ptr = NULL;
    ours.sigev_value.sival_int = (int)number;
    uintptr_t notify = (uintptr_t)event->sigev_notify_function;
    int result = real.timer_create(clock, &ours, timer);
    if (result == 0 && atomic_load(&library_any_opened)) {
        event_callback(CALLBACK_TIMER, number, notify, CALLER_HERE());
        event_timer_made(number, (uintptr_t)*timer);
    }
    return result;
}
