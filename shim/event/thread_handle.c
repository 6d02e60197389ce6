/* Thread handle events: joins, detaches and other uses of a pthread_t, and threads that nobody
 * joined. */
#include "event/event.h"
#include "event/internal.h"

#include "base/clock.h"

#include <errno.h>

static void tell(enum kind kind, const struct thread *owner, const char *function,
                 struct caller caller, bool at_once)
{
    struct touch touch = {.thread = thread_current(), .access = ACCESS_READ, .function = function};
    struct finding finding;
    struct thread copy = *owner;
    report_prepare();
    if (touch.thread != NULL && touch.thread->tid != 0)
        thread_refresh_name((struct thread *)touch.thread);
    if (copy.state == THREAD_RUNNING && copy.tid != 0)
        thread_refresh_name(&copy);
    stack_capture(&touch.stack, caller);
    detect_thread_handle(&finding, kind, &touch, &copy, at_once);
    report_or_stop(&finding);
    report_prepared();
}

/* No thread has the handle. True: one had it, and that was told. */
static bool tell_ended(pthread_t handle, enum handle_use use, const char *function,
                       struct caller caller)
{
    struct thread owner;
    if (!thread_of_ended_handle(handle, &owner))
        return false;
    enum kind kind = KIND_STALE_THREAD_HANDLE;
    if (use == HANDLE_JOINED)
        kind = owner.joined ? KIND_DOUBLE_JOIN : KIND_JOIN_AFTER_DETACH;
    else if (use == HANDLE_DETACHED && !owner.joined)
        kind = KIND_DOUBLE_DETACH;
    tell(kind, &owner, function, caller, false);
    return true;
}

struct join event_join_begins(pthread_t handle, const char *function, struct caller caller)
{
    struct join join = {0};
    int saved = errno;
    if (!guard_enter())
        return join;
    struct thread *thread = thread_of_handle(handle);
    if (thread == NULL) {
        join.gone = tell_ended(handle, HANDLE_JOINED, function, caller);
    } else if (thread->detached) {
        tell(KIND_JOIN_AFTER_DETACH, thread, function, caller, false);
    } else {
        const struct thread *self = thread_current();
        join.thread = thread;
        join.reference = thread->reference;
        join.at_once = thread->joining && self != NULL && thread->joiner != self->reference;
        if (!join.at_once)
            thread_joining(thread, stack_keep(caller));
    }
    guard_leave();
    errno = saved;
    return join;
}

void event_join_ended(const struct join *join, int failure, const char *function,
                      struct caller caller)
{
    struct thread *thread = join->thread;
    if (thread == NULL || !guard_enter())
        return;
    if (!join->at_once || failure == 0)
        thread_join_ended(thread, failure == 0);
    else if (failure == EINVAL && thread->reference == join->reference && thread->joining)
        tell(KIND_DOUBLE_JOIN, thread, function, caller, true);
    guard_leave();
}

bool event_handle_used(pthread_t handle, enum handle_use use, const char *function,
                       struct caller caller)
{
    bool gone = false;
    int saved = errno;
    if (!guard_enter())
        return false;
    struct thread *thread = thread_of_handle(handle);
    if (thread == NULL)
        gone = tell_ended(handle, use, function, caller);
    else if (use == HANDLE_DETACHED && thread->detached)
        tell(KIND_DOUBLE_DETACH, thread, function, caller, false);
    else if (use == HANDLE_DETACHED)
        thread_detached(thread, stack_keep(caller));
    else if (use == HANDLE_CANCELLED)
        thread_cancelled(thread);
    guard_leave();
    errno = saved;
    return gone;
}

/* Fewer may be a pool that is left to the exit of the process. */
#define LEAK_LEAST 32
#define PLACES 64

static bool is_leaked(const struct thread *thread)
{
    return thread->state == THREAD_FINISHED && thread->origin == THREAD_CREATED &&
           !thread->joined && !thread->detached && !thread->joining;
}

void tell_thread_leaks(void)
{
    struct {
        uint32_t stack, count, first;
    } places[PLACES];
    uint32_t known = 0;
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        if (!is_leaked(thread))
            continue;
        uint32_t at = 0;
        while (at < known && places[at].stack != thread->start_stack)
            at++;
        if (at == PLACES)
            continue;
        if (at == known) {
            known++;
            places[at].stack = thread->start_stack;
            places[at].count = 0;
            places[at].first = slot;
        }
        places[at].count++;
    }
    for (uint32_t at = 0; at < known; at++) {
        if (places[at].count < LEAK_LEAST || places[at].stack == 0)
            continue;
        struct touch touch = {.thread = guard.thread};
        struct finding finding;
        detect_thread_leak(&finding, &touch, thread_slot(places[at].first), places[at].count);
        (void)report_finding(&finding);
    }
}
