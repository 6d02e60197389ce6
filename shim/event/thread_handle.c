/* Thread handle events: joins, detaches and other uses of a pthread_t, and threads that nobody
 * joined. */
#include "event/event.h"
#include "event/internal.h"

#include "registry/thread_stack.h"
#include "registry/wait.h"

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

/* No thread has the handle. True: one had it, and that was told; or its record is forgotten, but
 * its stack is dead: then only the call is left out, with the answer that libc gives for no thread.
 */
static bool tell_ended(pthread_t handle, enum handle_use use, const char *function,
                       struct caller caller)
{
    struct thread owner;
    /* libc would look at its record there, with all signals blocked (nptl/pthread_kill.c). */
    if (!thread_of_ended_handle(handle, &owner))
        return thread_stack_is_dead((uintptr_t)handle);
    enum kind kind = KIND_STALE_THREAD_HANDLE;
    if (use == HANDLE_JOINED)
        kind = owner.joined ? KIND_DOUBLE_JOIN : KIND_JOIN_AFTER_DETACH;
    else if (use == HANDLE_DETACHED && !owner.joined)
        kind = KIND_DOUBLE_DETACH;
    tell(kind, &owner, function, caller, false);
    return true;
}

/* Another thread is in a join of it that waits for ever. A note of that may have been left behind
 * by a cancellation, so the kernel is asked, too. */
static bool is_being_joined(const struct thread *thread)
{
    struct waiting waiting;
    const struct thread *joiner = thread_of_reference(thread->joiner);
    return thread->joining && joiner != NULL && joiner != guard.thread &&
           wait_of(joiner, &waiting) && waiting.note.what == WAIT_THREAD &&
           waiting.note.target == thread->reference && !waiting.note.has_end;
}

struct join event_join_begins(pthread_t handle, bool has_end, const char *function,
                              struct caller caller)
{
    struct join join = {0};
    int saved = errno;
    if (!guard_enter())
        return join;
    (void)thread_current();
    struct thread *thread = thread_of_handle(handle);
    if (thread == NULL) {
        join.gone = tell_ended(handle, HANDLE_JOINED, function, caller);
    } else if (thread->detached) {
        tell(KIND_JOIN_AFTER_DETACH, thread, function, caller, false);
    } else {
        join.thread = thread;
        join.reference = thread->reference;
        join.stack = thread->stack;
        if (!has_end && is_being_joined(thread))
            tell(KIND_DOUBLE_JOIN, thread, function, caller, true);
        else
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
    bool same = thread->reference == join->reference;
    if (same && failure == 0 && thread->joined)
        tell(KIND_DOUBLE_JOIN, thread, function, caller, true);
    else if (same)
        thread_join_ended(thread, failure == 0);
    if (failure == 0 && join->stack != NULL)
        thread_stack_joined(join->stack, stack_keep(caller));
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
