/* Unload events: dlopen, dlclose, and what is still to run in a library that is gone. Whether a
 * dlclose unloads something shows only when it has returned; who is inside, only before, while
 * there is unwind information. So each is noted before, and told after where it still holds. */
#include "event/event.h"
#include "event/internal.h"

#include "base/memory.h"
#include "base/probe.h"
#include "base/system.h"
#include "registry/library.h"
#include "registry/task.h"

/* A thread that was inside some library when dlclose was entered. */
struct user {
    thread_reference thread;
    bool by_start;     /* only its start routine tells */
    uintptr_t pointer; /* where it waited; 0: in dlclose */
    uint32_t stack;    /* kept */
};

/* A dlclose that runs. */
#define UNLOADINGS 8
#define LEAVING_MOST 64
#define USERS_MOST 64
static struct unloading {
    _Atomic pid_t taken; /* by that thread; 0: free */
    uintptr_t slot;      /* of dlclose */
    struct library *libraries[LEAVING_MOST];
    size_t library_count;
    struct user users[USERS_MOST];
    size_t user_count;
} unloadings[UNLOADINGS];

/* Stacks of threads that were inside a library when it went: what is left of a stack whose code is
 * gone cannot be unwound. */
#define LEFT_BEHIND 64
static struct left_behind {
    _Atomic thread_reference thread;
    uint32_t stack;
} left_behind[LEFT_BEHIND];
static _Atomic uint32_t next_left_behind;

/* Busy threads are looked at again. */
enum { ROUNDS = 4, RUNNING_MOST = 64, PAUSE_NANOSECONDS = 100000 };

static void pause_between_rounds(void)
{
    struct timespec pause = {0, PAUSE_NANOSECONDS};
    (void)system_call3(SYS_nanosleep, (long)&pause, 0, 0);
}

static struct library *library_of(const struct unloading *unloading, uintptr_t address)
{
    for (size_t i = 0; i < unloading->library_count; i++)
        if (address - unloading->libraries[i]->start <
            unloading->libraries[i]->end - unloading->libraries[i]->start)
            return unloading->libraries[i];
    return NULL;
}

#define SCANNED_MOST ((uintptr_t)1 << 20) /* bytes of a stack */

/* The first word of the stack that is an address in one of the libraries, or that very word. Above
 * its stack a thread has its handle (glibc's nptl/allocatestack.c). */
static uintptr_t scan(const struct unloading *unloading, const struct thread *thread,
                      uintptr_t pointer, uintptr_t wanted)
{
    uintptr_t end = pointer + SCANNED_MOST, handle = (uintptr_t)thread->handle;
    uint64_t word;
    if (thread->origin != THREAD_MAIN && thread->has_handle && handle > pointer && handle < end)
        end = handle;
    for (uintptr_t at = pointer; at < end && probe_word((const void *)at, &word); at += sizeof word)
        if (wanted != 0 ? word == wanted : library_of(unloading, word) != NULL)
            return at;
    return 0;
}

enum look { LOOK_OUTSIDE, LOOK_INSIDE, LOOK_UNKNOWN };

static enum look look_at(const struct unloading *unloading, const struct thread *thread,
                         struct user *user)
{
    struct task_call call;
    struct stack stack;
    if (!task_is_in_kernel(thread->tid, &call))
        return LOOK_UNKNOWN;
    if (library_of(unloading, call.address) == NULL &&
        scan(unloading, thread, call.pointer, 0) == 0)
        return LOOK_OUTSIDE;
    stack_capture_blocked(&stack, call.address, call.pointer);
    uint32_t inside = 0;
    while (inside < stack.count && library_of(unloading, stack.frames[inside]) == NULL)
        inside++;
    if (!task_is_still(thread->tid, &call))
        return LOOK_UNKNOWN; /* the stack did not stand still */
    if (inside == stack.count)
        return LOOK_OUTSIDE;
    *user = (struct user){.thread = thread->reference,
                          .pointer = call.pointer,
                          .stack = stack_keep_frames(stack.frames, stack.count)};
    return LOOK_INSIDE;
}

static bool is_in_start_routine(const struct thread *thread)
{
    return thread->state == THREAD_STARTING ||
           (thread->state == THREAD_RUNNING && thread->ending == THREAD_CANCELLED);
}

static void add_user(struct unloading *unloading, const struct user *user)
{
    if (unloading->user_count < USERS_MOST)
        unloading->users[unloading->user_count++] = *user;
}

/* Not seen at rest, or not begun yet. */
static void look_at_start(struct unloading *unloading, const struct thread *thread)
{
    uintptr_t entry = (uintptr_t)thread->entry + 1; /* as a return address is named */
    if (library_of(unloading, entry) == NULL || !is_in_start_routine(thread))
        return;
    struct user user = {.thread = thread->reference, .by_start = true};
    user.stack = stack_keep_frames(&entry, 1);
    add_user(unloading, &user);
}

/* A thread that is seen running is looked at again, together with the others of its kind. */
static void look_again(struct unloading *unloading, const thread_reference *running, size_t count)
{
    bool known[RUNNING_MOST] = {false};
    struct user user;
    for (int round = 1; round < ROUNDS && count > 0; round++) {
        pause_between_rounds();
        for (size_t i = 0; i < count; i++) {
            const struct thread *thread = thread_of_reference(running[i]);
            enum look look = known[i] || thread == NULL || thread->state != THREAD_RUNNING
                                 ? LOOK_OUTSIDE
                                 : look_at(unloading, thread, &user);
            known[i] = look != LOOK_UNKNOWN;
            if (look == LOOK_INSIDE)
                add_user(unloading, &user);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct thread *thread = thread_of_reference(running[i]);
        if (!known[i] && thread != NULL)
            look_at_start(unloading, thread);
    }
}

static void look_at_threads(struct unloading *unloading)
{
    thread_reference running[RUNNING_MOST];
    size_t count = 0;
    struct user user;
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        if (thread == guard.thread)
            continue;
        if (thread->state == THREAD_STARTING) {
            look_at_start(unloading, thread);
        } else if (thread->state == THREAD_RUNNING) {
            enum look look = look_at(unloading, thread, &user);
            if (look == LOOK_INSIDE)
                add_user(unloading, &user);
            else if (look == LOOK_UNKNOWN && count < RUNNING_MOST)
                running[count++] = thread->reference;
        }
    }
    look_again(unloading, running, count);
}

/* The caller itself may be in the library that it closes. */
static void look_at_own_stack(struct unloading *unloading)
{
    const struct user user = {.thread = guard.thread == NULL ? 0 : guard.thread->reference,
                              .stack = unloading->libraries[0]->unload.stack};
    if (user.thread != 0)
        add_user(unloading, &user);
}

/* A dlclose that was left by longjmp lies no deeper on the stack. */
static struct unloading *take_unloading(uintptr_t slot)
{
    pid_t own = system_thread();
    for (size_t i = 0; i < UNLOADINGS; i++)
        if (atomic_load(&unloadings[i].taken) == own && unloadings[i].slot <= slot) {
            library_forget(unloadings[i].libraries, unloadings[i].library_count);
            atomic_store(&unloadings[i].taken, 0);
        }
    for (size_t i = 0; i < UNLOADINGS; i++) {
        pid_t nobody = 0;
        if (atomic_compare_exchange_strong(&unloadings[i].taken, &nobody, own)) {
            unloadings[i].slot = slot;
            unloadings[i].library_count = unloadings[i].user_count = 0;
            return &unloadings[i];
        }
    }
    return NULL;
}

static void begin(struct caller caller)
{
    struct unloading *unloading = take_unloading(caller.slot);
    if (unloading == NULL)
        return;
    unloading->library_count =
        library_leaving(unloading->libraries, LEAVING_MOST, guard.block->unloading.stack);
    if (unloading->library_count == 0)
        return;
    look_at_own_stack(unloading);
    look_at_threads(unloading);
}

struct thread_unloading event_unloading(struct caller caller)
{
    struct thread_unloading outer = {0};
    if (!guard_enter())
        return outer;
    (void)thread_current();
    if (guard.block != NULL) {
        outer = guard.block->unloading;
        guard.block->unloading =
            (struct thread_unloading){caller.slot, caller.address, stack_keep(caller)};
        if (atomic_load(&library_any_opened))
            begin(caller);
    }
    guard_leave();
    return outer;
}

/* The innermost dlclose of this thread. */
static struct unloading *own_unloading(void)
{
    struct unloading *found = NULL;
    pid_t own = system_thread();
    for (size_t i = 0; i < UNLOADINGS; i++)
        if (atomic_load(&unloadings[i].taken) == own &&
            (found == NULL || unloadings[i].slot < found->slot))
            found = &unloadings[i];
    return found;
}

/* It has not left meanwhile, as when the library's own destructor waits for it. address: on its
 * stack, or where it waits. */
static bool is_still_inside(const struct unloading *unloading, const struct user *user,
                            uintptr_t address)
{
    const struct thread *thread = thread_of_reference(user->thread);
    struct task_call call;
    if (thread == NULL || thread == guard.thread)
        return thread != NULL;
    if (user->by_start)
        return is_in_start_routine(thread);
    for (int round = 0; round < ROUNDS; round++) {
        if (round > 0)
            pause_between_rounds();
        if (thread->state != THREAD_RUNNING || thread->reference != user->thread)
            return false;
        if (task_is_in_kernel(thread->tid, &call))
            return call.pointer == user->pointer &&
                   (call.address == address || scan(unloading, thread, call.pointer, address) != 0);
    }
    return false;
}

static void tell(struct finding *finding)
{
    report_or_stop(finding);
    report_prepared();
}

static void leave_behind(const struct user *user)
{
    struct left_behind *left = &left_behind[atomic_fetch_add(&next_left_behind, 1) % LEFT_BEHIND];
    atomic_store(&left->thread, 0);
    left->stack = user->stack;
    atomic_store(&left->thread, user->thread);
}

static void tell_user(const struct unloading *unloading, const struct user *user)
{
    struct thread *thread = thread_of_reference(user->thread);
    struct touch touch = {.thread = thread};
    const struct library *library = NULL;
    if (thread == NULL || !stack_get(user->stack, &touch.stack))
        return;
    for (uint32_t i = 0; i < touch.stack.count && library == NULL; i++) {
        touch.address = touch.stack.frames[i];
        library = library_of(unloading, touch.address);
    }
    if (library == NULL || !is_still_inside(unloading, user, touch.address))
        return;
    struct finding finding;
    report_prepare();
    leave_behind(user);
    thread_refresh_name(thread);
    detect_unload_while_in_use(&finding, &touch, library, user->by_start);
    tell(&finding);
}

/* The kernel's word: another handler may have been set by other means, or this one only once. */
static bool is_handler(uint32_t number, uintptr_t function)
{
    struct {
        uintptr_t handler;
        unsigned long flags;
        uintptr_t restorer;
        uint64_t mask;
    } action = {0};
    return system_call4(SYS_rt_sigaction, (long)number, 0, (long)&action, 8) == 0 &&
           (action.handler == function || stack_is_ours(action.handler));
}

/* Whether it will be called, as far as is known. */
static bool is_pending(enum callback_sort sort, uint32_t number, const struct callback *callback)
{
    switch (sort) {
    case CALLBACK_SIGNAL:
        return is_handler(number, callback->function);
    case CALLBACK_KEY:
        return callback_holder(callback) != 0;
    default:
        return atomic_load(&callback->timer_state) != TIMER_STOPPED;
    }
}

static struct registered registered_of(enum callback_sort sort, uint32_t number,
                                       const struct callback *callback)
{
    return (struct registered){
        .sort = (enum registered_sort)sort,
        .number = number,
        .function = callback->function,
        .by = {callback->thread, callback->stack, callback->ticks},
        .holder = sort == CALLBACK_KEY ? callback_holder(callback) : 0,
    };
}

static struct registered registered_exit(const struct exit_handler *handler)
{
    return (struct registered){
        .sort = REGISTERED_EXIT,
        .function = handler->function,
        .by = {handler->registrant, handler->stack, handler->registered},
    };
}

static void tell_registered(const struct unloading *unloading, const struct registered *registered)
{
    const struct library *library = library_of(unloading, registered->function);
    if (library == NULL)
        return;
    struct touch touch = {.thread = thread_current(), .address = registered->function};
    struct finding finding;
    report_prepare();
    if (guard.thread != NULL)
        thread_refresh_name(guard.thread);
    (void)stack_get(library->unload.stack, &touch.stack);
    detect_unload_while_registered(&finding, &touch, library, registered);
    tell(&finding);
}

static void tell_all_registered(const struct unloading *unloading)
{
    for (int sort = 0; sort < CALLBACK_SORTS; sort++)
        for (uint32_t number = 0; atomic_load(&callbacks_any[sort]) && number < CALLBACKS;
             number++) {
            const struct callback *callback = callback_of((enum callback_sort)sort, number);
            if (callback == NULL || library_of(unloading, callback->function) == NULL ||
                !is_pending((enum callback_sort)sort, number, callback))
                continue;
            const struct registered registered =
                registered_of((enum callback_sort)sort, number, callback);
            tell_registered(unloading, &registered);
        }
    for (uint32_t number = 0; number < exit_handler_count(); number++) {
        const struct exit_handler *handler = exit_handler_of_number(number);
        if (atomic_load(&handler->state) != EXIT_HANDLER_WAITING)
            continue;
        const struct registered registered = registered_exit(handler);
        tell_registered(unloading, &registered);
    }
}

static void end(void)
{
    struct unloading *unloading = own_unloading();
    if (unloading == NULL)
        return;
    unloading->library_count = library_left(unloading->libraries, unloading->library_count);
    if (unloading->library_count > 0) {
        for (size_t i = 0; i < unloading->user_count; i++)
            tell_user(unloading, &unloading->users[i]);
        tell_all_registered(unloading);
    }
    atomic_store(&unloading->taken, 0);
}

void event_unloaded(struct thread_unloading outer)
{
    if (!guard_enter())
        return;
    if (guard.block != NULL)
        guard.block->unloading = outer;
    if (static_objects() != 0)
        static_objects_sweep();
    if (atomic_load(&library_any_opened))
        end();
    guard_leave();
}

/* Whoever was in dlclose is not there in the child. */
void unload_forked(void)
{
    for (size_t i = 0; i < UNLOADINGS; i++)
        if (atomic_exchange(&unloadings[i].taken, 0) != 0)
            library_forget(unloadings[i].libraries, unloadings[i].library_count);
}

/* What was registered at that address, if anything. */
static bool find_registered(uintptr_t function, struct registered *registered)
{
    for (int sort = 0; sort < CALLBACK_SORTS; sort++)
        for (uint32_t number = 0; atomic_load(&callbacks_any[sort]) && number < CALLBACKS;
             number++) {
            const struct callback *callback = callback_of((enum callback_sort)sort, number);
            if (callback != NULL && callback->function == function) {
                *registered = registered_of((enum callback_sort)sort, number, callback);
                return true;
            }
        }
    for (uint32_t number = 0; number < exit_handler_count(); number++) {
        const struct exit_handler *handler = exit_handler_of_number(number);
        if (handler->function == function && atomic_load(&handler->state) == EXIT_HANDLER_RUNNING) {
            *registered = registered_exit(handler);
            return true;
        }
    }
    return false;
}

/* The thread came back to an address that was on its stack when the library went. */
static bool recall_stack(struct touch *touch)
{
    struct stack stack;
    for (size_t i = 0; touch->thread != NULL && i < LEFT_BEHIND; i++) {
        if (atomic_load(&left_behind[i].thread) != touch->thread->reference ||
            !stack_get(left_behind[i].stack, &stack))
            continue;
        for (uint32_t first = 0; first < stack.count; first++)
            if (stack.frames[first] == touch->address) {
                touch->stack.first_is_exact = false;
                touch->stack.count = stack.count - first;
                __builtin_memmove(touch->stack.frames, stack.frames + first,
                                  touch->stack.count * sizeof *stack.frames);
                return true;
            }
    }
    return false;
}

bool fault_in_unloaded(const struct touch *faulted)
{
    const struct library *library = library_at(faulted->address);
    struct registered registered;
    if (library == NULL)
        return false;
    struct touch touch = *faulted;
    bool mapped = memory_is_mapped(touch.address), code = touch.access == ACCESS_CALL;
    bool known = code && find_registered(touch.address, &registered);
    bool recalled = code && touch.stack.count <= 1 && recall_stack(&touch);
    /* Data may have come to the place meanwhile. */
    if (mapped && !known && !recalled)
        return false;
    struct finding finding;
    detect_use_after_unload(&finding, &touch, library, known ? &registered : NULL, mapped);
    report_or_stop(&finding);
    return true;
}

void event_opening(const char *file, struct caller caller)
{
    if (!guard_enter())
        return;
    (void)thread_current();
    library_opening(file, caller);
    guard_leave();
}

void event_callback(enum callback_sort sort, uint32_t number, uintptr_t function,
                    struct caller caller)
{
    if (!guard_enter())
        return;
    (void)thread_current();
    if (function != 0 && library_is_late(function))
        callback_set(sort, number, function, stack_keep(caller));
    else
        callback_set(sort, number, 0, 0);
    guard_leave();
}

void event_key_value(uint32_t key, bool holds)
{
    if (!guard_enter())
        return;
    (void)thread_current();
    callback_hold(key, holds);
    guard_leave();
}

void event_timer_made(uint32_t number, uintptr_t timer)
{
    struct callback *callback = callback_of(CALLBACK_TIMER, number);
    if (callback != NULL)
        atomic_store(&callback->timer, timer);
}

void event_timer_fired(uint32_t number)
{
    struct callback *callback = callback_of(CALLBACK_TIMER, number);
    uint32_t once = TIMER_ONCE;
    if (callback != NULL)
        (void)atomic_compare_exchange_strong(&callback->timer_state, &once, TIMER_STOPPED);
}
