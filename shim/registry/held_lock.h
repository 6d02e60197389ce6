/* Held lock: which locks a thread holds, and what it waits for. Written by the thread itself with
 * plain stores, read by any thread: so what stands here is only what was noted. A lock may have
 * been handed to another thread, or left by a longjmp: libc's own record in the lock has the last
 * word. No locks of ours, any context. */
#ifndef OUTLIVE_REGISTRY_HELD_LOCK_H
#define OUTLIVE_REGISTRY_HELD_LOCK_H

#include "registry/stack.h"
#include "registry/thread.h"

/* The calling thread's lists, or NULL inside the shim. */
static inline struct thread_block *held_lock_block(void)
{
    struct thread_block *block = guard.block;
    return __builtin_expect(block == NULL || guard.inside != 0, 0) ? NULL : block;
}

void held_lock_make_room(struct thread_block *block) __attribute__((cold));

/* `block` took the lock; site: of the call, 0 where not known. */
static inline __attribute__((always_inline)) void held_lock_add(struct thread_block *block,
                                                                const void *address,
                                                                enum held_how how, uintptr_t caller,
                                                                uint32_t site)
{
    if (__builtin_expect(block->lock_count == THREAD_LOCKS, 0))
        held_lock_make_room(block);
    struct held_lock *lock = &block->locks[block->lock_count];
    lock->caller = caller;
    lock->site = site;
    lock->how = how;
    lock->address = (uintptr_t)address;
    __atomic_store_n(&block->lock_count, block->lock_count + 1, __ATOMIC_RELEASE);
}

void held_lock_remove_below(struct thread_block *block, uintptr_t address);

/* `block` is about to release it: before the real call, after which the lock may be gone. */
static inline __attribute__((always_inline)) void held_lock_remove(struct thread_block *block,
                                                                   const void *address)
{
    uint32_t count = block->lock_count;
    if (__builtin_expect(count > 0 && block->locks[count - 1].address == (uintptr_t)address, 1))
        __atomic_store_n(&block->lock_count, count - 1, __ATOMIC_RELEASE);
    else if (count > 0)
        held_lock_remove_below(block, (uintptr_t)address);
}

/* The thread holds it, by libc's record in the lock's memory, as far as there is one: a rwlock does
 * not know who reads it, nor a spinlock who has it. False where the memory is gone. */
bool held_lock_is_true(const struct held_lock *lock, pid_t tid);
/* Its memory says that the threads that use it settle what becomes of it when its owner ends. */
bool held_lock_is_robust(const struct held_lock *lock);
/* The mutex's owner by libc's record; 0: it is not locked. */
pid_t held_lock_owner(const void *mutex);

/* Around a call that may wait for `object` (and for a condition variable takes `mutex` again).
 * *before is what the thread did when a signal handler interrupted it. NULL: not noted. */
static inline struct thread_wait *held_lock_wait_begin(struct thread_wait *before,
                                                       const void *object, enum lock_sort sort,
                                                       const void *mutex, const char *function,
                                                       struct caller caller)
{
    struct thread_block *block = held_lock_block();
    if (block == NULL)
        return NULL;
    *before = block->wait;
    block->wait.sort = sort;
    block->wait.mutex = (uintptr_t)mutex;
    block->wait.function = function;
    block->wait.address = caller.address;
    block->wait.slot = caller.slot;
    __atomic_store_n(&block->wait.object, (uintptr_t)object, __ATOMIC_RELEASE);
    return &block->wait;
}

static inline void held_lock_wait_end(struct thread_wait *wait, const struct thread_wait *before)
{
    if (wait == NULL)
        return;
    __atomic_store_n(&wait->object, 0, __ATOMIC_RELEASE);
    /* What was left for good, by a cancellation or a longjmp, has nothing below it to go back to.
     */
    if (__builtin_expect(before->object != 0 && before->slot > wait->slot, 0))
        *wait = *before;
}

/* The thread is asleep in the kernel, waiting for [object, object + size), by the kernel's own word
 * (proc(5), /proc/pid/task/tid/syscall). False where the kernel does not tell. */
bool held_lock_sleeps(pid_t tid, uintptr_t object, size_t size);

/* The child of a fork, or a new user of the block: what it took counts no more. */
void held_lock_forget(struct thread_block *block);

#endif
