/* Held lock: see held_lock.h. The layouts are glibc's (sysdeps/nptl/bits/struct_mutex.h and
 * struct_rwlock.h, x86_64), in which the words used here have stood since 2.17; the word of readers
 * since 2.25. */
#include "registry/held_lock.h"

#include "base/probe.h"
#include "base/system.h"
#include "registry/task.h"

enum { MUTEX_LOCK = 0, MUTEX_OWNER = 2, MUTEX_KIND = 4, RWLOCK_READERS = 0, RWLOCK_WRITER = 6 };
enum { MUTEX_ROBUST = 16 /* PTHREAD_MUTEX_ROBUST_NORMAL_NP */, RWLOCK_READER_SHIFT = 3 };
enum { SPIN_FREE = 1 };

void held_lock_forget(struct thread_block *block)
{
    __builtin_memset(block->locks, 0, sizeof block->locks);
    atomic_store(&block->wait.what, WAIT_NONE);
    block->lock_sites = 0;
}

/* The 32-bit word, which lies in one aligned word of 64. */
static bool read_word(uintptr_t address, int number, uint32_t *value)
{
    uintptr_t at = address + (uintptr_t)number * 4;
    uint64_t word;
    if (at % 4 != 0 || !probe_word((const void *)(at & ~UINT64_C(7)), &word))
        return false;
    *value = (uint32_t)(word >> at % 8 * 8);
    return true;
}

pid_t held_lock_owner(const void *mutex)
{
    uint32_t lock, owner;
    if (!read_word((uintptr_t)mutex, MUTEX_LOCK, &lock) || lock == 0 ||
        !read_word((uintptr_t)mutex, MUTEX_OWNER, &owner))
        return 0;
    return (pid_t)owner;
}

bool held_lock_is_true(const struct held_lock *lock, pid_t tid)
{
    uint32_t word;
    switch (held_lock_how(lock)) {
    case HELD_MUTEX:
        return tid > 0 && held_lock_owner((const void *)lock->address) == tid;
    case HELD_WRITE:
        return read_word(lock->address, RWLOCK_WRITER, &word) && (pid_t)word == tid;
    case HELD_READ:
        return read_word(lock->address, RWLOCK_READERS, &word) && word >> RWLOCK_READER_SHIFT != 0;
    default:
        return read_word(lock->address, 0, &word) && (int32_t)word < SPIN_FREE;
    }
}

bool held_lock_is_robust(const struct held_lock *lock)
{
    uint32_t kind;
    return held_lock_how(lock) == HELD_MUTEX && read_word(lock->address, MUTEX_KIND, &kind) &&
           (kind & MUTEX_ROBUST) != 0;
}

bool held_lock_sleeps(pid_t tid, uintptr_t object, size_t size)
{
    struct task_call call;
    return task_state(tid, &call) == TASK_SLEEPS && call.number == SYS_futex &&
           call.arguments[0] - object < size;
}
