/* Need: see need.h. */
#include "registry/need.h"

#include "base/clock.h"
#include "base/lock.h"

#define NEEDS 4096

static struct need needs[NEEDS];
static _Atomic uint32_t used; /* places, from the first on */
static struct lock needs_lock;
_Atomic bool need_any;

static bool lives(thread_reference reference)
{
    const struct thread *thread = reference == 0 ? NULL : thread_of_reference(reference);
    return thread != NULL && thread->state != THREAD_FINISHED && thread->state != THREAD_UNUSED;
}

static struct need *choose(thread_reference thread, uintptr_t address)
{
    struct need *free = NULL;
    for (uint32_t i = 0; i < used; i++) {
        thread_reference reference = atomic_load(&needs[i].thread);
        if (reference == thread && needs[i].address == address)
            return &needs[i];
        if (free == NULL && !lives(reference))
            free = &needs[i];
    }
    return free == NULL && used < NEEDS ? &needs[used++] : free;
}

bool need_add(uintptr_t address, size_t size, struct caller caller)
{
    uint32_t stack = stack_keep(caller);
    const struct thread *thread = guard.thread;
    if (thread == NULL)
        return true;
    lock_take(&needs_lock);
    struct need *need = choose(thread->reference, address);
    if (need != NULL) {
        atomic_store(&need->thread, 0); /* no reader must believe half of it */
        need->address = address;
        need->size = size;
        need->stack = stack;
        need->ticks = clock_ticks();
        atomic_store(&need->thread, thread->reference);
        atomic_store(&need_any, true);
    }
    lock_release(&needs_lock);
    return need != NULL;
}

void need_drop(uintptr_t address)
{
    thread_reference thread = guard.thread == NULL ? 0 : guard.thread->reference;
    for (uint32_t i = 0; thread != 0 && i < atomic_load(&used); i++)
        if (atomic_load(&needs[i].thread) == thread && address - needs[i].address < needs[i].size)
            atomic_store(&needs[i].thread, 0);
}

size_t need_end(uintptr_t first, size_t size, struct need *ended, size_t most)
{
    size_t found = 0;
    for (uint32_t i = 0; i < atomic_load(&used); i++) {
        thread_reference thread = atomic_load(&needs[i].thread);
        if (thread == 0 || needs[i].address - first >= size)
            continue;
        struct need need = needs[i];
        /* Whoever takes it tells it: objects may end in several threads at once. */
        if (need.address - first < size &&
            atomic_compare_exchange_strong(&needs[i].thread, &thread, 0) && found < most &&
            lives(thread) && (guard.thread == NULL || thread != guard.thread->reference)) {
            atomic_store(&need.thread, thread);
            ended[found++] = need;
        }
    }
    return found;
}

void need_prepare_fork(void)
{
    lock_before_fork(&needs_lock);
}

void need_forked(bool child)
{
    lock_after_fork(&needs_lock, child);
}
