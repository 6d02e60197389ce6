/* Thread stack hooks: stacks of the shim's, passed to libc as a program passes its own
 * (pthread_attr_setstack), and what the program would otherwise see of that. */
#include "capture/real.h"
#include "capture/threads.h"

#include "event/event.h"

#include <errno.h>

static _Atomic bool default_changed; /* libc alone knows what its default attributes are */

/* What no stack was set in: libc keeps the end of the stack, and gives its start (glibc,
 * pthread_attr_getstack.c). */
static bool has_own_stack(const pthread_attr_t *attributes)
{
    void *start = NULL;
    size_t size = 0;
    return pthread_attr_getstack(attributes, &start, &size) != 0 || (uintptr_t)start + size != 0;
}

struct thread_stack *thread_stack_supply(struct thread *thread, const pthread_attr_t *asked,
                                         pthread_attr_t *ours)
{
    size_t size = 0, guard_size = 0;
    if (!event_thread_wants_stack(thread))
        return NULL;
    if (asked != NULL)
        *ours = *asked; /* what it points to stays the program's */
    else if (atomic_load(&default_changed) || pthread_attr_init(ours) != 0)
        return NULL;
    if (has_own_stack(ours) || pthread_attr_getstacksize(ours, &size) != 0 ||
        pthread_attr_getguardsize(ours, &guard_size) != 0 || !guard_enter())
        return NULL;
    struct thread_stack *stack = event_thread_stack(thread, size, guard_size);
    guard_leave();
    if (stack == NULL)
        return NULL;
    if (pthread_attr_setstack(ours, (void *)stack->first, stack->top - stack->first) == 0)
        return stack;
    thread_stack_tell(thread, stack, false);
    return NULL;
}

void thread_stack_tell(struct thread *thread, struct thread_stack *stack, bool made)
{
    if (!made)
        thread->stack = NULL;
    if (!guard_enter())
        return;
    thread_stack_created(stack, made);
    guard_leave();
}

/* For libc a stack that it was given has no guard. */
EXPORT int pthread_getattr_np(pthread_t handle, pthread_attr_t *attributes)
{
    real_need();
    int failure = ESRCH;
    thread_stack_asks(handle);
    if (!event_handle_used(handle, HANDLE_USED, "pthread_getattr_np", CALLER_HERE()))
        failure = real.pthread_getattr_np(handle, attributes);
    thread_stack_asked();
    if (failure == 0 && guard_enter()) {
        const struct thread *thread = thread_of_handle(handle);
        if (thread != NULL && thread->stack != NULL)
            (void)pthread_attr_setguardsize(attributes, thread->stack->guard_size);
        guard_leave();
    }
    return failure;
}

EXPORT int pthread_setattr_default_np(const pthread_attr_t *attributes)
{
    real_need();
    atomic_store(&default_changed, true);
    return real.pthread_setattr_default_np(attributes);
}
