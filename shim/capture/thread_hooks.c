/* Thread hooks: creation, joining, ending and other uses of threads. A thread enters the program's
 * start routine through the shim; its end is told by a key destructor that runs in the last round,
 * after the program's own. */
#include "capture/annotation_hooks.h"
#include "capture/filters.h"
#include "capture/real.h"
#include "capture/signals.h"
#include "capture/threads.h"

#include "base/memory.h"
#include "base/probe.h"
#include "event/event.h"
#include "event/perturb.h"
#include "registry/wait.h"

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
    event_thread_began();
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
    uintptr_t place = (uintptr_t)thread->entry;
    begin(thread);
    perturb(PERTURB_START, place);
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
    uintptr_t place = (uintptr_t)thread->entry;
    begin(thread);
    perturb(PERTURB_START, place);
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
    if (!guard_enter()) {
        if (guard_active) /* a handle from before the start was no other thread's */
            thread_created_unseen();
        return NULL;
    }
    struct thread *thread = event_thread_create(entry, argument, THREAD_CREATED, caller);
    if (thread != NULL)
        thread->inherited_blocked = guard.blocked;
    else
        thread_created_unseen();
    guard_leave();
    return thread;
}

/* The new thread may have freed what holds the handle. Then it has told its handle itself. */
static void tell_result(struct thread *thread, bool made, const void *place)
{
    uint64_t handle;
    if (!guard_enter())
        return;
    if (!made)
        thread_failed(thread);
    else if (probe_word(place, &handle))
        thread_set_handle(thread, (pthread_t)handle);
    guard_leave();
}

EXPORT int pthread_create(pthread_t *handle, const pthread_attr_t *attributes,
                          void *(*entry)(void *), void *argument)
{
    void *entry_address;
    __builtin_memcpy(&entry_address, &entry, sizeof entry);
    real_need();
    if (guard_active && !event_heap_watched) /* of libraries that were loaded past our eyes */
        annotation_hooks_look();
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
    tell_result(thread, result == 0, handle);
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
    tell_result(thread, result == thrd_success, handle);
    return result;
}

/* POSIX: what a call on a handle whose thread is no more may answer. */
#define GONE ESRCH

/* has_end: it does not wait for ever. */
#define JOIN_HOOK(name, has_end, parameters, arguments, refusal)                                   \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        struct join join = event_join_begins(handle, has_end, #name, CALLER_HERE());               \
        if (__builtin_expect(join.gone, 0))                                                        \
            return refusal;                                                                        \
        event_waited();                                                                            \
        struct thread_wait before, *wait = wait_begin_join(&before, handle, join.reference,        \
                                                           has_end, #name, CALLER_HERE());         \
        if (!(has_end))                                                                            \
            perturb(PERTURB_JOIN, CALLER_HERE().address);                                          \
        int failure = real.name arguments;                                                         \
        wait_end(wait, &before);                                                                   \
        event_join_ended(&join, failure, #name, CALLER_HERE());                                    \
        return failure;                                                                            \
    }

JOIN_HOOK(pthread_join, false, (pthread_t handle, void **result), (handle, result), GONE)
JOIN_HOOK(pthread_tryjoin_np, true, (pthread_t handle, void **result), (handle, result), GONE)
JOIN_HOOK(pthread_timedjoin_np, true, (pthread_t handle, void **result, const struct timespec *end),
          (handle, result, end), GONE)
JOIN_HOOK(pthread_clockjoin_np, true,
          (pthread_t handle, void **result, clockid_t clock, const struct timespec *end),
          (handle, result, clock, end), GONE)
JOIN_HOOK(thrd_join, false, (thrd_t handle, int *result), (handle, result), thrd_error)
_Static_assert(thrd_success == 0, "thrd_join tells success as pthread_join does");

/* Functions that take a handle. A detaching is told before: after it the handle may be another
 * thread's. */
#define HANDLE_HOOK(name, use, parameters, arguments, refusal)                                     \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        int result = refusal;                                                                      \
        real_need();                                                                               \
        thread_stack_asks(handle);                                                                 \
        if (__builtin_expect(!event_handle_used(handle, use, #name, CALLER_HERE()), 1))            \
            result = real.name arguments;                                                          \
        thread_stack_asked();                                                                      \
        return result;                                                                             \
    }

#define DETACH_HOOK(name, type, refusal)                                                           \
    EXPORT int name(type handle)                                                                   \
    {                                                                                              \
        int failure = refusal;                                                                     \
        real_need();                                                                               \
        struct thread_stack *stack = event_stack_of(handle);                                       \
        thread_stack_asks(handle);                                                                 \
        if (__builtin_expect(!event_handle_used(handle, HANDLE_DETACHED, #name, CALLER_HERE()),    \
                             1))                                                                   \
            failure = real.name(handle);                                                           \
        thread_stack_asked();                                                                      \
        event_detached(stack, failure == 0);                                                       \
        return failure;                                                                            \
    }

DETACH_HOOK(pthread_detach, pthread_t, GONE)
DETACH_HOOK(thrd_detach, thrd_t, thrd_error)
HANDLE_HOOK(pthread_cancel, HANDLE_CANCELLED, (pthread_t handle), (handle), GONE)
HANDLE_HOOK(pthread_kill, HANDLE_USED, (pthread_t handle, int number), (handle, number), GONE)
HANDLE_HOOK(pthread_sigqueue, HANDLE_USED, (pthread_t handle, int number, const union sigval value),
            (handle, number, value), GONE)
HANDLE_HOOK(pthread_getcpuclockid, HANDLE_USED, (pthread_t handle, clockid_t *clock),
            (handle, clock), GONE)
HANDLE_HOOK(pthread_getname_np, HANDLE_USED, (pthread_t handle, char *name, size_t size),
            (handle, name, size), GONE)
HANDLE_HOOK(pthread_setaffinity_np, HANDLE_USED,
            (pthread_t handle, size_t size, const cpu_set_t *processors),
            (handle, size, processors), GONE)
HANDLE_HOOK(pthread_getaffinity_np, HANDLE_USED,
            (pthread_t handle, size_t size, cpu_set_t *processors), (handle, size, processors),
            GONE)
HANDLE_HOOK(pthread_setschedparam, HANDLE_USED,
            (pthread_t handle, int policy, const struct sched_param *parameters),
            (handle, policy, parameters), GONE)
HANDLE_HOOK(pthread_getschedparam, HANDLE_USED,
            (pthread_t handle, int *policy, struct sched_param *parameters),
            (handle, policy, parameters), GONE)
HANDLE_HOOK(pthread_setschedprio, HANDLE_USED, (pthread_t handle, int priority), (handle, priority),
            GONE)

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
    if (__builtin_expect(
            event_handle_used(handle, HANDLE_USED, "pthread_setname_np", CALLER_HERE()), 0))
        return GONE;
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
    if (option == PR_SET_SECCOMP)
        return filters_prctl(a, b, c, d);
    int result = real.prctl(option, a, b, c, d);
    if (option == PR_SET_NAME && result == 0 && guard_enter()) {
        note_name(thread_current(), (const char *)a);
        guard_leave();
    }
    return result;
}

/* SIGEV_THREAD: libc makes the thread itself, and blocks signals in it. The notification goes
 * through the shim, so that the thread is known and can fault. One entry a timer; those of deleted
 * timers are used again, oldest first: notifications may still be under way. Where none is free the
 * timer is the program's and libc's alone. */
#define TIMERS 1024
#define TAKEN UINT64_MAX
static struct timer {
    _Atomic uint64_t freed;   /* TAKEN, or counted on by each deletion */
    _Atomic uintptr_t handle; /* the timer_t, once it is known */
    void (*notify)(union sigval);
    union sigval value;
    uint32_t stack;
    thread_reference creator;
} timers[TIMERS];
static _Atomic uint64_t deletions;

static struct timer *take_timer(void)
{
    for (;;) {
        struct timer *oldest = NULL;
        uint64_t freed = TAKEN;
        for (size_t i = 0; i < TIMERS; i++) {
            uint64_t since = atomic_load_explicit(&timers[i].freed, memory_order_relaxed);
            if (since < freed) {
                oldest = &timers[i];
                freed = since;
            }
        }
        if (oldest == NULL)
            return NULL;
        if (atomic_compare_exchange_strong(&oldest->freed, &freed, TAKEN))
            return oldest;
    }
}

static void give_timer(struct timer *timer)
{
    atomic_store(&timer->handle, 0);
    atomic_store(&timer->freed, atomic_fetch_add(&deletions, 1) + 1);
}

static void notified(union sigval which)
{
    struct timer *timer = &timers[which.sival_int];
    void (*notify)(union sigval) = timer->notify;
    union sigval value = timer->value;
    event_timer_fired((uint32_t)which.sival_int);
    if (guard_enter()) {
        struct thread *thread = thread_current();
        if (thread != NULL) {
            thread->origin = THREAD_TIMER;
            thread->keeps_libc_signals = false;
            thread->start_stack = timer->stack;
            thread->creator = timer->creator;
            __builtin_memcpy(&thread->entry, &notify, sizeof thread->entry);
        }
        signals_open_faults();
        guard_leave();
    }
    notify(value);
    thread_ending(THREAD_RETURNED);
}

EXPORT int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    real_need();
    if (event == NULL || event->sigev_notify != SIGEV_THREAD || !guard_enter())
        return real.timer_create(clock, event, timer);
    struct timer *entry = take_timer();
    if (entry != NULL) {
        struct thread *creator = thread_current();
        entry->notify = event->sigev_notify_function;
        entry->value = event->sigev_value;
        entry->stack = stack_keep(CALLER_HERE());
        entry->creator = creator == NULL ? 0 : creator->reference;
    }
    guard_leave();
    if (entry == NULL)
        return real.timer_create(clock, event, timer);
    struct sigevent ours = *event;
    ours.sigev_notify_function = notified;
    ours.sigev_value.sival_ptr = NULL;
    ours.sigev_value.sival_int = (int)(entry - timers);
    uintptr_t notify = (uintptr_t)event->sigev_notify_function;
    int result = real.timer_create(clock, &ours, timer);
    uint64_t handle;
    if (result != 0) {
        give_timer(entry);
    } else if (guard_active && probe_word(timer, &handle)) { /* as in tell_result() */
        atomic_store(&entry->handle, handle);
        if (atomic_load(&library_any_opened)) {
            event_callback(CALLBACK_TIMER, (uint32_t)(entry - timers), notify, CALLER_HERE());
            event_timer_made((uint32_t)(entry - timers), handle);
        }
    }
    return result;
}

void threads_timer_deleted(timer_t timer)
{
    for (size_t i = 0; timer != NULL && i < TIMERS; i++)
        if (atomic_load_explicit(&timers[i].handle, memory_order_relaxed) == (uintptr_t)timer &&
            atomic_load(&timers[i].freed) == TAKEN)
            give_timer(&timers[i]);
}
