/* Touch: see touch.h. */
#include "registry/touch.h"

#include "base/clock.h"
#include "base/probe.h"

_Atomic uint32_t destructions_running;

/* The slot may lie on a stack that is gone: a fibre's. */
static bool still_holds(uintptr_t slot, uintptr_t address)
{
    uint64_t word;
    return slot != 0 && probe_word((const void *)slot, &word) && word == address;
}

bool destruction_begin(struct object *object, uintptr_t function, struct caller caller)
{
    struct thread *thread = guard.thread;
    if (thread == NULL)
        return false;
    if (object->destructor != 0 && object->destructor_thread == thread->reference &&
        object->destructor_slot > caller.slot &&
        still_holds(object->destructor_slot, object->destructor_return))
        return false;
    object->destructor = function;
    object->destructor_return = caller.address;
    object->destructor_slot = caller.slot;
    object->destructor_thread = thread->reference;
    object->destructor_ticks = clock_ticks();
    if (thread->destroys != 0 && thread->destroys_slot > caller.slot &&
        still_holds(thread->destroys_slot, thread->destroys_return))
        return true; /* within that one's */
    if (thread->destroys == 0)
        atomic_fetch_add(&destructions_running, 1);
    thread->destroys = object->number;
    thread->destroys_slot = caller.slot;
    thread->destroys_return = caller.address;
    return true;
}

void destruction_end(void)
{
    if (guard.thread == NULL || guard.thread->destroys == 0)
        return;
    guard.thread->destroys = 0;
    atomic_fetch_sub(&destructions_running, 1);
}

void destruction_forked(void)
{
    bool own = guard.thread != NULL && guard.thread->destroys != 0;
    atomic_store(&destructions_running, own);
}

struct thread_touch *touch_begin(struct object *object, const void *address, bool is_mutex,
                                 const char *function, struct caller caller)
{
    struct thread *thread = guard.thread;
    if (thread == NULL)
        return NULL;
    struct thread_touch *touch = &thread->touches[0];
    for (size_t i = 1; i < THREAD_TOUCHES; i++) /* the same lock again, or else the oldest */
        if (touch->address != (uintptr_t)address &&
            (thread->touches[i].address == (uintptr_t)address ||
             thread->touches[i].ticks < touch->ticks))
            touch = &thread->touches[i];
    atomic_store(&touch->object, 0);
    touch->address = (uintptr_t)address;
    touch->is_mutex = is_mutex;
    touch->function = function;
    touch->caller = caller.address;
    touch->slot = caller.slot;
    touch->stack = stack_keep(caller);
    touch->ticks = clock_ticks();
    atomic_store(&touch->inside, true);
    atomic_store_explicit(&touch->object, object->number, memory_order_release);
    atomic_store(&object->touched, true);
    return touch;
}

void touch_member(uintptr_t function, void *self, struct caller caller)
{
    struct thread *thread = guard.thread;
    if (thread == NULL)
        return;
    uint32_t count = thread->member_count;
    while (count > 0 && thread->members[count - 1].slot <= caller.slot)
        count--;
    if (count == THREAD_MEMBERS)
        count--;                  /* the outermost ones tell most */
    thread->member_count = count; /* a reader must not believe half an entry */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    thread->members[count] = (struct thread_member){function, (uintptr_t)self, caller.slot,
                                                    caller.address, clock_ticks()};
    __atomic_thread_fence(__ATOMIC_RELEASE);
    thread->member_count = count + 1;
}

size_t touch_members(const struct thread *thread, struct thread_member *members)
{
    size_t found = 0;
    uint32_t count = thread->member_count;
    for (uint32_t i = count < THREAD_MEMBERS ? count : THREAD_MEMBERS; i-- > 0;) {
        struct thread_member member = thread->members[i];
        if (still_holds(member.slot, member.address))
            members[found++] = member;
    }
    return found;
}

/* glibc's struct __pthread_mutex_s: the lock word, a count, and the owner's tid. */
bool touch_holds(const struct thread *thread, const struct thread_touch *touch)
{
    const volatile int *words = (const volatile int *)touch->address;
    return touch->is_mutex && words[0] != 0 && words[2] == thread->tid;
}
