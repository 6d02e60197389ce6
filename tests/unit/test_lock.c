/* Tests of held and destroyed locks: what libc's records say of each kind, and marks that any way
 * of making a lock anew removes. */
#include "unit.h"

#include "base/system.h"
#include "registry/destroyed_lock.h"
#include "registry/held_lock.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

static struct thread_block block;

static const struct held_lock *note_of(const void *lock)
{
    return &block.locks[held_lock_place(lock)];
}

static void notes_come_and_go(void **state)
{
    (void)state;
    static char locks[THREAD_LOCKS * 8];
    held_lock_forget(&block);
    held_lock_add(&block, &locks[0], HELD_WRITE, 0x1234);
    held_lock_add(&block, &locks[8], HELD_MUTEX, 7 | HELD_LOCK_SITE);
    assert_int_equal(note_of(&locks[0])->address, (uintptr_t)&locks[0]);
    assert_int_equal(held_lock_how(note_of(&locks[0])), HELD_WRITE);
    assert_int_equal(note_of(&locks[0])->call & (HELD_LOCK_SITE - 1), 0x1234);
    assert_int_equal(held_lock_how(note_of(&locks[8])), HELD_MUTEX);
    assert_int_equal(note_of(&locks[8])->call & HELD_LOCK_SITE, HELD_LOCK_SITE);
    held_lock_remove(&block, &locks[0]); /* not in order */
    assert_int_equal(note_of(&locks[0])->address, (uintptr_t)&locks[0] | HELD_LOCK_RELEASED);
    assert_true(held_lock_was_taken(&block, (uintptr_t)&locks[0]));
    assert_false(held_lock_was_taken(&block, (uintptr_t)&locks[16]));
    held_lock_remove(&block, &locks[0]); /* another thread's */
    held_lock_remove(&block, &locks[8]);
    for (size_t i = 0; i < THREAD_LOCKS; i++)
        assert_true(block.locks[i].address == 0 ||
                    (block.locks[i].address & HELD_LOCK_RELEASED) != 0);
    assert_int_equal(block.releases, 3);
    assert_int_equal(block.released[2], (uintptr_t)&locks[8]);
    held_lock_was_told(&block, &locks[16]);
    assert_true(held_lock_was_taken(&block, (uintptr_t)&locks[16]));
}

static bool is_true(const void *lock, enum held_how how)
{
    const struct held_lock held = {(uintptr_t)lock, (uint64_t)how << 62};
    return held_lock_is_true(&held, system_thread());
}

static void libc_has_the_last_word(void **state)
{
    (void)state;
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                                PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};
    for (int i = 0; i < 8; i++) {
        pthread_mutex_t mutex;
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, types[i % 4]);
        pthread_mutexattr_setrobust(&attributes,
                                    i < 4 ? PTHREAD_MUTEX_STALLED : PTHREAD_MUTEX_ROBUST);
        assert_int_equal(pthread_mutex_init(&mutex, &attributes), 0);
        const struct held_lock held = {(uintptr_t)&mutex, 0};
        assert_int_equal(held_lock_is_robust(&held), i >= 4);
        assert_false(is_true(&mutex, HELD_MUTEX));
        assert_int_equal(held_lock_owner(&mutex), 0);
        pthread_mutex_lock(&mutex);
        assert_true(is_true(&mutex, HELD_MUTEX));
        assert_int_equal(held_lock_owner(&mutex), system_thread());
        pthread_mutex_unlock(&mutex);
        assert_false(is_true(&mutex, HELD_MUTEX));
    }
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    assert_false(is_true(&rwlock, HELD_READ));
    pthread_rwlock_rdlock(&rwlock);
    assert_true(is_true(&rwlock, HELD_READ));
    assert_false(is_true(&rwlock, HELD_WRITE));
    pthread_rwlock_unlock(&rwlock);
    assert_false(is_true(&rwlock, HELD_READ));
    pthread_rwlock_wrlock(&rwlock);
    assert_true(is_true(&rwlock, HELD_WRITE));
    assert_false(is_true(&rwlock, HELD_READ));
    pthread_rwlock_unlock(&rwlock);
    assert_false(is_true(&rwlock, HELD_WRITE));
    pthread_spinlock_t spins[2];
    for (int i = 0; i < 2; i++) { /* both halves of a word */
        pthread_spin_init(&spins[i], 0);
        assert_false(is_true((const void *)&spins[i], HELD_SPIN));
        pthread_spin_lock(&spins[i]);
        assert_true(is_true((const void *)&spins[i], HELD_SPIN));
        pthread_spin_unlock(&spins[i]);
        assert_false(is_true((const void *)&spins[i], HELD_SPIN));
    }
}

static sem_t semaphore;
static _Atomic pid_t waiter;

static void *wait_for_it(void *nothing)
{
    atomic_store(&waiter, system_thread());
    sem_wait(&semaphore);
    atomic_store(&waiter, 0);
    while (atomic_load(&waiter) == 0)
        sched_yield();
    return nothing;
}

static void the_kernel_knows_who_sleeps(void **state)
{
    (void)state;
    pthread_t thread;
    sem_init(&semaphore, 0, 0);
    pthread_create(&thread, NULL, wait_for_it, NULL);
    while (atomic_load(&waiter) == 0)
        sched_yield();
    pid_t tid = atomic_load(&waiter);
    while (!held_lock_sleeps(tid, (uintptr_t)&semaphore, sizeof semaphore))
        sched_yield();
    assert_false(held_lock_sleeps(tid, (uintptr_t)(&semaphore + 1), sizeof semaphore));
    assert_false(held_lock_sleeps(system_thread(), (uintptr_t)&semaphore, sizeof semaphore));
    sem_post(&semaphore);
    while (atomic_load(&waiter) != 0)
        sched_yield();
    assert_false(held_lock_sleeps(tid, (uintptr_t)&semaphore, sizeof semaphore));
    atomic_store(&waiter, 1);
    pthread_join(thread, NULL);
}

static void mark(void *lock, enum lock_sort sort)
{
    const struct destroyed_lock record = {
        .address = (uintptr_t)lock, .sort = sort, .function = "end", .ticks = 5, .stack = 6};
    assert_true(destroyed_lock_may_mark(lock, sort));
    destroyed_lock_mark(&record);
}

static void is_marked(void *lock, enum lock_sort sort)
{
    struct destroyed_lock found;
    assert_true(destroyed_lock_find(lock, sort == LOCK_SPIN, &found));
    assert_int_equal(found.sort, sort);
    assert_int_equal(found.ticks, 5);
    assert_int_equal(found.stack, 6);
}

static bool any_mark(void *lock, enum lock_sort sort)
{
    struct destroyed_lock found;
    return destroyed_lock_find(lock, sort == LOCK_SPIN, &found);
}

/* Bit for bit, and usable: a barrier counts its rounds in the word that is marked. */
static void marks_can_be_taken_back(void **state)
{
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, mutex_before = mutex;
    mark(&mutex, LOCK_MUTEX);
    is_marked(&mutex, LOCK_MUTEX);
    destroyed_lock_restore(&mutex, false);
    assert_false(any_mark(&mutex, LOCK_MUTEX));
    assert_memory_equal(&mutex, &mutex_before, sizeof mutex);
    pthread_barrier_t barrier, barrier_before;
    pthread_barrier_init(&barrier, NULL, 1);
    pthread_barrier_wait(&barrier);
    memcpy(&barrier_before, &barrier, sizeof barrier);
    mark(&barrier, LOCK_BARRIER);
    is_marked(&barrier, LOCK_BARRIER);
    destroyed_lock_restore(&barrier, false);
    assert_memory_equal(&barrier, &barrier_before, sizeof barrier);
    pthread_barrier_wait(&barrier);
    pthread_spinlock_t spin;
    pthread_spin_init(&spin, 0);
    mark((void *)&spin, LOCK_SPIN);
    is_marked((void *)&spin, LOCK_SPIN);
    destroyed_lock_restore((const void *)&spin, true);
    assert_int_equal(pthread_spin_trylock(&spin), 0);
}

static void what_is_made_anew_is_not_marked(void **state)
{
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, moved;
    mark(&mutex, LOCK_MUTEX);
    memcpy(&moved, &mutex, sizeof mutex);
    assert_false(any_mark(&moved, LOCK_MUTEX)); /* in another place */
    pthread_mutex_init(&mutex, NULL);
    assert_false(any_mark(&mutex, LOCK_MUTEX));
    pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
    mark(&rwlock, LOCK_RWLOCK);
    rwlock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
    assert_false(any_mark(&rwlock, LOCK_RWLOCK));
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    mark(&condition, LOCK_CONDITION);
    memset(&condition, 0, sizeof condition);
    assert_false(any_mark(&condition, LOCK_CONDITION));
    sem_t counted;
    sem_init(&counted, 0, 3);
    mark(&counted, LOCK_SEMAPHORE);
    is_marked(&counted, LOCK_SEMAPHORE);
    int value = 0;
    sem_getvalue(&counted, &value);
    assert_int_equal(value, 3); /* a last waiter may still be on its way out */
    sem_init(&counted, 0, 1);
    assert_false(any_mark(&counted, LOCK_SEMAPHORE));
    pthread_spinlock_t spin;
    mark((void *)&spin, LOCK_SPIN);
    pthread_spin_init(&spin, 0);
    assert_false(any_mark((void *)&spin, LOCK_SPIN));
}

static void the_oldest_records_go(void **state)
{
    (void)state;
    static pthread_mutex_t first, mutexes[DESTROYED_LOCKS];
    mark(&first, LOCK_MUTEX);
    for (size_t i = 0; i < DESTROYED_LOCKS; i++)
        mark(&mutexes[i], LOCK_MUTEX);
    assert_false(any_mark(&first, LOCK_MUTEX));
    is_marked(&mutexes[0], LOCK_MUTEX);
    is_marked(&mutexes[DESTROYED_LOCKS - 1], LOCK_MUTEX);
    destroyed_lock_restore(&first, false); /* without its record */
    assert_int_equal(pthread_mutex_trylock(&first), 0);
}

static void shared_locks_are_left_alone(void **state)
{
    (void)state;
    pthread_mutexattr_t mutex_attributes;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&mutex_attributes);
    pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&mutex, &mutex_attributes);
    assert_false(destroyed_lock_may_mark(&mutex, LOCK_MUTEX));
    pthread_rwlockattr_t rwlock_attributes;
    pthread_rwlock_t rwlock;
    pthread_rwlockattr_init(&rwlock_attributes);
    pthread_rwlockattr_setpshared(&rwlock_attributes, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&rwlock, &rwlock_attributes);
    assert_false(destroyed_lock_may_mark(&rwlock, LOCK_RWLOCK));
    pthread_condattr_t condition_attributes;
    pthread_cond_t condition;
    pthread_condattr_init(&condition_attributes);
    pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&condition, &condition_attributes);
    assert_false(destroyed_lock_may_mark(&condition, LOCK_CONDITION));
    sem_t shared;
    sem_init(&shared, 1, 0);
    assert_false(destroyed_lock_may_mark(&shared, LOCK_SEMAPHORE));
    pthread_barrierattr_t barrier_attributes;
    pthread_barrier_t barrier;
    pthread_barrierattr_init(&barrier_attributes);
    pthread_barrierattr_setpshared(&barrier_attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&barrier, &barrier_attributes, 1);
    assert_false(destroyed_lock_may_mark(&barrier, LOCK_BARRIER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_come_and_go),
        cmocka_unit_test(libc_has_the_last_word),
        cmocka_unit_test(the_kernel_knows_who_sleeps),
        cmocka_unit_test(marks_can_be_taken_back),
        cmocka_unit_test(what_is_made_anew_is_not_marked),
        cmocka_unit_test(the_oldest_records_go),
        cmocka_unit_test(shared_locks_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
