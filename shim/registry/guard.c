/* Guard: what to make of a guard that is set when nothing of ours may be running any more. */
#include "registry/guard.h"

#include "base/lock.h"
#include "base/system.h"
#include "registry/thread.h"

#include <signal.h>

static bool within(const stack_t *stack, uintptr_t address)
{
    return address - (uintptr_t)stack->ss_sp < stack->ss_size;
}

/* A child of vfork, and a thread by a raw clone, may run in the storage of another thread. */
static bool is_own_storage(void)
{
    return guard.thread != NULL && guard.thread->tid == system_thread();
}

bool guard_recover(uintptr_t frame)
{
    stack_t signals = {0};
    if (guard.inside == GUARD_FOR_GOOD || !is_own_storage() ||
        system_call3(SYS_sigaltstack, 0, (long)&signals, 0) != 0 ||
        (signals.ss_flags & SS_DISABLE) != 0) /* switched off while its handler runs */
        return false;
    bool here = (signals.ss_flags & SS_ONSTACK) != 0, there = within(&signals, guard.inside);
    /* A handler on the signal stack has interrupted; or it was interrupted there, and is left. Else
     * both are on one stack, where what runs inside another function lies below its frame. */
    if (here != there ? here : frame < guard.inside)
        return false;
    guard_abandon();
    return true;
}

void guard_abandon(void)
{
    if (guard.inside == 0 || guard.inside == GUARD_FOR_GOOD || !is_own_storage())
        return;
    lock_abandon();
    guard.unwinding = NULL;
    guard_set(0);
}
