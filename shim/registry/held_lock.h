/* Held lock: which locks a thread holds, or held. Written by the thread itself with
 * plain stores, read by any thread: so what stands here is only what was noted. A lock may have
 * been handed to another thread, or left by a longjmp: libc's own record in the lock has the last
 * word. No locks of ours, any context. */
#ifndef OUTLIVE_REGISTRY_HELD_LOCK_H
#define OUTLIVE_REGISTRY_HELD_LOCK_H

#include "registry/stack.h"
#include "registry/thread.h"

/* The place of a lock in each thread's table: found at once, whatever the order in which locks are
 * released, and few stores stand between the processor and its next atomic operation, which waits
 * for them all. Two that share a place: the older one is forgotten. */
static inline size_t held_lock_place(const void *address)
{
    return (((uintptr_t)address >> 3) ^ ((uintptr_t)address >> 9)) % THREAD_LOCKS;
}

/* How it was taken (63-62), and the call: its site (61 set), or the return address alone. */
#define HELD_LOCK_SITE (UINT64_C(1) << 61)

static inline enum held_how held_lock_how(const struct held_lock *lock)
{
    return (enum held_how)(lock->call >> 62);
}

/* `block` took the lock. */
static inline __attribute__((always_inline)) void
held_lock_add(struct thread_block *block, const void *address, enum held_how how, uint64_t call)
{
    struct held_lock *lock = &block->locks[held_lock_place(address)];
    lock->call = (uint64_t)how << 62 | call;
    __atomic_store_n(&lock->address, (uintptr_t)address, __ATOMIC_RELEASE);
}

/* Locks lie at multiples of four. */
#define HELD_LOCK_RELEASED 1

/* `block` tells other threads by it that they may go on: a lock that is released, a condition that
 * is signalled, a semaphore that is posted. */
static inline __attribute__((always_inline)) void held_lock_tell(struct thread_block *block,
                                                                 const void *address)
{
    block->released[block->releases++ % THREAD_RELEASES] = (uintptr_t)address;
}

/* `block` is about to release it: before the real call, after which the lock may be gone. */
static inline __attribute__((always_inline)) void held_lock_remove(struct thread_block *block,
                                                                   const void *address)
{
    struct held_lock *lock = &block->locks[held_lock_place(address)];
    if (__builtin_expect(lock->address == (uintptr_t)address, 1))
        __atomic_store_n(&lock->address, (uintptr_t)address | HELD_LOCK_RELEASED, __ATOMIC_RELAXED);
    held_lock_tell(block, address);
}

/* `block` was told by it, and holds nothing. */
static inline void held_lock_was_told(struct thread_block *block, const void *address)
{
    struct held_lock *lock = &block->locks[held_lock_place(address)];
    if (lock->address == 0 || (lock->address & HELD_LOCK_RELEASED) != 0)
        __atomic_store_n(&lock->address, (uintptr_t)address | HELD_LOCK_RELEASED, __ATOMIC_RELAXED);
}

/* `block` has it, or had it, or was told by it, not so long ago that others have come to its place
 * in the table. */
static inline bool held_lock_was_taken(const struct thread_block *block, uintptr_t address)
{
    const struct held_lock *lock = &block->locks[held_lock_place((const void *)address)];
    return (lock->address & ~(uintptr_t)HELD_LOCK_RELEASED) == address;
}

/* The thread holds it, by libc's record in the lock's memory, as far as there is one: a rwlock does
 * not know who reads it, nor a spinlock who has it. False where the memory is gone. */
bool held_lock_is_true(const struct held_lock *lock, pid_t tid);
/* Its memory says that the threads that use it settle what becomes of it when its owner ends. */
bool held_lock_is_robust(const struct held_lock *lock);
/* The mutex's owner by libc's record; 0: it is not locked. */
pid_t held_lock_owner(const void *mutex);

/* The thread is asleep in the kernel, waiting for [object, object + size), by the kernel's own word
 * (proc(5), /proc/pid/task/tid/syscall). False where the kernel does not tell. */
bool held_lock_sleeps(pid_t tid, uintptr_t object, size_t size);

/* A thread begins, or is a fork's child: it holds nothing. */
void held_lock_forget(struct thread_block *block);

#endif
