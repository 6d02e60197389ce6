/* Sleeper: a thread that sleeps on a futex in guarded memory is not to be interrupted for a look at
 * its stack: libc would ask for the futex anew, which may be dead, and end the program. Its hook's
 * note tells. Called by samplers of the capture layer. */
#include "event/event.h"

#include "base/probe.h"
#include "heap/arena.h"
#include "registry/task.h"

#include <sys/syscall.h>

bool event_waits_in_object(pid_t tid, struct stack *stack)
{
    struct task_call call;
    uint64_t word;
    stack->count = 0;
    if (task_state(tid, &call) != TASK_SLEEPS || call.number != SYS_futex ||
        !arena_contains((const void *)(uintptr_t)call.arguments[0]))
        return false;
    const struct thread *thread = thread_of_tid(tid);
    const struct thread_touch *touch = NULL; /* the latest: others were left by a longjmp */
    for (size_t i = 0; thread != NULL && i < THREAD_TOUCHES; i++)
        if (thread->touches[i].inside && (touch == NULL || thread->touches[i].ticks > touch->ticks))
            touch = &thread->touches[i];
    if (touch == NULL)
        return true;
    uint64_t ticks = touch->ticks;
    struct caller caller = {touch->caller, touch->slot};
    if (!probe_word((const void *)caller.slot, &word) || word != caller.address)
        return true;
    stack_capture_waiting(stack, caller);
    if (!touch->inside || touch->ticks != ticks)
        stack->count = 0; /* it went on */
    return true;
}
