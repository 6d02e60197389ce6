/* Destroyed lock: see destroyed_lock.h. */
#include "registry/destroyed_lock.h"

#include <pthread.h>
#include <semaphore.h>

static struct destroyed_lock destroyed[DESTROYED_LOCKS];
static _Atomic uint32_t next_destroyed;

const char *lock_sort_name(enum lock_sort sort)
{
    static const char *const names[] = {"mutex",     "rwlock",  "condition variable",
                                        "semaphore", "barrier", "spinlock"};
    return names[sort];
}

size_t lock_sort_size(enum lock_sort sort)
{
    static const size_t sizes[] = {sizeof(pthread_mutex_t),   sizeof(pthread_rwlock_t),
                                   sizeof(pthread_cond_t),    sizeof(sem_t),
                                   sizeof(pthread_barrier_t), sizeof(pthread_spinlock_t)};
    return sizes[sort];
}

/* Marks: 63-56 the byte above, 55-44 the record, 43-32 check, 31-0 as before. Of a spinlock: 31-24,
 * 23-12 and 11-0. */
static uint32_t upper_of(uint32_t number, uintptr_t address, bool is_spin)
{
    uint32_t check = (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 52);
    return (uint32_t)(is_spin ? DESTROYED_SPIN_MARK : DESTROYED_LOCK_MARK) << 24 | number << 12 |
           check;
}

static uint32_t number_in(uint32_t upper)
{
    return upper >> 12 & (DESTROYED_LOCKS - 1);
}

static uint32_t upper_at(const void *address, bool is_spin)
{
    return __atomic_load_n((const uint32_t *)address + !is_spin, __ATOMIC_RELAXED);
}

/* The flags of glibc's layouts (sysdeps/nptl/bits/thread-shared-types.h, struct_mutex.h,
 * struct_rwlock.h, sysdeps/nptl/internaltypes.h); where an older glibc has something else there,
 * it is not 0 and the lock is left alone. */
bool destroyed_lock_may_mark(const void *address, enum lock_sort sort)
{
    enum { MUTEX_KIND = 4, MUTEX_SHARED = 128, RWLOCK_SHARED = 7, CONDITION_FLAGS = 9 };
    enum { SEMAPHORE_SHARED = 2, BARRIER_SHARED = 3 };
    const volatile uint32_t *words = address;
    switch (sort) {
    case LOCK_MUTEX:
        return (words[MUTEX_KIND] & MUTEX_SHARED) == 0;
    case LOCK_RWLOCK:
        return (words[RWLOCK_SHARED] & 0xff) == 0;
    case LOCK_CONDITION:
        return (words[CONDITION_FLAGS] & 1) == 0;
    case LOCK_SEMAPHORE:
        return words[SEMAPHORE_SHARED] == 0;
    case LOCK_BARRIER:
        return words[BARRIER_SHARED] == 0;
    default:
        return true;
    }
}

void destroyed_lock_mark(const struct destroyed_lock *lock)
{
    uint32_t number = atomic_fetch_add(&next_destroyed, 1) % DESTROYED_LOCKS;
    bool is_spin = lock->sort == LOCK_SPIN;
    struct destroyed_lock *record = &destroyed[number];
    uint32_t *word = (uint32_t *)lock->address + !is_spin;
    record->address = 0; /* a reader must not believe half a record */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    record->sort = lock->sort;
    record->function = lock->function;
    record->ticks = lock->ticks;
    record->stack = lock->stack;
    record->thread = lock->thread;
    record->before = *word;
    __atomic_store_n(&record->address, lock->address, __ATOMIC_RELEASE);
    __atomic_store_n(word, upper_of(number, lock->address, is_spin), __ATOMIC_RELAXED);
}

bool destroyed_lock_find(const void *address, bool is_spin, struct destroyed_lock *lock)
{
    uint32_t upper = upper_at(address, is_spin);
    const struct destroyed_lock *record = &destroyed[number_in(upper)];
    if (upper != upper_of(number_in(upper), (uintptr_t)address, is_spin))
        return false;
    *lock = *record;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&record->address, __ATOMIC_RELAXED) == (uintptr_t)address &&
           lock->address == (uintptr_t)address && (lock->sort == LOCK_SPIN) == is_spin;
}

void destroyed_lock_restore(const void *address, bool is_spin)
{
    struct destroyed_lock lock;
    uint32_t upper = upper_at(address, is_spin);
    if (upper != upper_of(number_in(upper), (uintptr_t)address, is_spin))
        return;
    /* Without its record: as it is when nobody uses it. */
    uint32_t before = is_spin;
    if (destroyed_lock_find(address, is_spin, &lock))
        before = (uint32_t)lock.before;
    (void)__atomic_compare_exchange_n((uint32_t *)address + !is_spin, &upper, before, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
