/* Tests of what orders two threads: scripted events of each kind, chains, rings that have wrapped,
 * and random events against vector clocks. */
#include "unit.h"

#include "base/clock.h"
#include "base/options.h"
#include "base/output.h"
#include "registry/order.h"

#include <pthread.h>

/* Threads that no registry knows. */
enum { FIRST_REFERENCE = 30000, THREADS = 6, LOCKS = 5 };
static struct thread_block blocks[THREADS];
static uint64_t now;

static void start_over(void)
{
    order_forked(true);
    now = clock_ticks();
    for (uint32_t i = 0; i < THREADS; i++)
        blocks[i] = (struct thread_block){.number = 100 + i, .reference = FIRST_REFERENCE + i};
}

static uintptr_t lock_of(unsigned lock)
{
    return 0x100000 + (uintptr_t)lock * 64;
}

static void tell(unsigned thread, unsigned lock)
{
    order_note_slow(&blocks[thread], ORDER_RELEASE, lock_of(lock), ++now);
}

static void learn(unsigned thread, unsigned lock)
{
    order_note_slow(&blocks[thread], ORDER_ACQUIRE, lock_of(lock), ++now);
}

static enum order between(unsigned thread, uint64_t ticks, unsigned by)
{
    return order_between(FIRST_REFERENCE + thread, ticks, FIRST_REFERENCE + by, now, 0, 0);
}

static int set_up(void **state)
{
    (void)state;
    order_prepare_fork();
    start_over();
    return 0;
}

static void release_orders_before_acquire(void **state)
{
    (void)state;
    uint64_t use = ++now;
    assert_int_equal(between(0, use, 0), ORDER_BEFORE);
    assert_int_equal(between(0, use, 1), ORDER_NONE);
    learn(1, 0);
    tell(0, 0);
    assert_int_equal(between(0, use, 1), ORDER_NONE);
    learn(1, 1);
    assert_int_equal(between(0, use, 1), ORDER_NONE);
    uint64_t later = ++now;
    learn(1, 0);
    assert_int_equal(between(0, use, 1), ORDER_BEFORE);
    assert_int_equal(between(0, later, 1), ORDER_NONE);
    assert_int_equal(between(1, use, 0), ORDER_NONE);
}

static void chains_are_followed_in_time(void **state)
{
    (void)state;
    uint64_t use = ++now;
    tell(1, 1);
    learn(2, 1);
    tell(0, 0);
    learn(1, 0);
    assert_int_equal(between(0, use, 1), ORDER_BEFORE);
    assert_int_equal(between(0, use, 2), ORDER_NONE);
    tell(1, 2);
    learn(2, 2);
    assert_int_equal(between(0, use, 2), ORDER_BEFORE);
}

static void some_locks_do_not_count(void **state)
{
    (void)state;
    uint64_t use = ++now;
    tell(0, 0);
    learn(1, 0);
    assert_int_equal(order_between(FIRST_REFERENCE, use, FIRST_REFERENCE + 1, now, lock_of(0), 8),
                     ORDER_NONE);
    assert_int_equal(order_between(FIRST_REFERENCE, use, FIRST_REFERENCE + 1, now, lock_of(1), 8),
                     ORDER_BEFORE);
}

static void what_is_lost_is_not_known(void **state)
{
    (void)state;
    uint64_t use = ++now;
    tell(0, 0);
    assert_int_equal(between(0, use - ORDER_EVENTS * UINT64_C(1000000000), 1), ORDER_UNKNOWN);
    for (int i = 0; i < 2 * ORDER_EVENTS; i++)
        tell(0, 1);
    assert_int_equal(between(0, use, 1), ORDER_UNKNOWN);
    learn(1, 1);
    assert_int_equal(between(0, use, 1), ORDER_BEFORE);
    use = ++now;
    assert_int_equal(between(0, use, 1), ORDER_NONE);
}

static void next_thread_of_a_ring_is_another(void **state)
{
    (void)state;
    uint64_t use = ++now;
    tell(0, 0);
    blocks[0].reference = FIRST_REFERENCE + 20;
    tell(0, 1);
    learn(1, 1);
    assert_int_equal(between(0, use, 1), ORDER_NONE);
    assert_int_equal(between(20, use, 1), ORDER_BEFORE);
    learn(2, 0);
    assert_int_equal(between(0, use, 2), ORDER_BEFORE);
    assert_int_equal(between(20, use, 2), ORDER_NONE);
}

static uint64_t used_at;

static void *use_something(void *record)
{
    thread_begin(record);
    used_at = clock_ticks();
    thread_end(false);
    return NULL;
}

static void start_and_join_order(void **state)
{
    (void)state;
    pthread_t handle;
    uint64_t before = clock_ticks();
    thread_reference self = guard.thread->reference;
    struct thread *thread = thread_create(NULL, NULL, 0, THREAD_CREATED);
    assert_non_null(thread);
    assert_int_equal(pthread_create(&handle, NULL, use_something, thread), 0);
    pthread_join(handle, NULL);
    thread_reference reference = thread->reference;
    assert_int_equal(order_between(self, before, reference, used_at, 0, 0), ORDER_BEFORE);
    assert_int_equal(order_between(reference, used_at, self, clock_ticks(), 0, 0), ORDER_NONE);
    thread_join_ended(thread, true);
    assert_int_equal(order_between(reference, used_at, self, clock_ticks(), 0, 0), ORDER_BEFORE);
}

/* The reference: a clock a thread and a lock. */
struct clocks {
    unsigned of[THREADS];
};

static void merge(struct clocks *into, const struct clocks *from)
{
    for (int i = 0; i < THREADS; i++)
        if (into->of[i] < from->of[i])
            into->of[i] = from->of[i];
}

static void same_as_vector_clocks(void **state)
{
    (void)state;
    enum { RUNS = 300, STEPS = 60 };
    unsigned seed = 7, told[3] = {0};
    for (int run = 0; run < RUNS; run++) {
        struct clocks threads[THREADS] = {0}, locks[LOCKS] = {0};
        start_over();
        for (int i = 0; i < THREADS; i++)
            threads[i].of[i] = 1;
        unsigned user = (unsigned)rand_r(&seed) % THREADS, at = (unsigned)rand_r(&seed) % STEPS;
        unsigned epoch = 0;
        uint64_t use = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            unsigned thread = (unsigned)rand_r(&seed) % THREADS;
            unsigned lock = (unsigned)rand_r(&seed) % LOCKS;
            if (step == at) {
                use = ++now;
                epoch = threads[user].of[user];
            }
            if (rand_r(&seed) % 2 == 0) {
                tell(thread, lock);
                merge(&locks[lock], &threads[thread]);
                threads[thread].of[thread]++;
            } else {
                learn(thread, lock);
                merge(&threads[thread], &locks[lock]);
            }
            for (unsigned by = 0; step >= at && by < THREADS; by++) {
                bool known = by == user || threads[by].of[user] >= epoch;
                enum order order = between(user, use, by);
                assert_int_equal(order, known ? ORDER_BEFORE : ORDER_NONE);
                told[order]++;
            }
        }
    }
    assert_true(told[ORDER_BEFORE] > 1000 && told[ORDER_NONE] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(release_orders_before_acquire, set_up),
        cmocka_unit_test_setup(chains_are_followed_in_time, set_up),
        cmocka_unit_test_setup(some_locks_do_not_count, set_up),
        cmocka_unit_test_setup(what_is_lost_is_not_known, set_up),
        cmocka_unit_test_setup(next_thread_of_a_ring_is_another, set_up),
        cmocka_unit_test_setup(start_and_join_order, set_up),
        cmocka_unit_test_setup(same_as_vector_clocks, set_up),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    clock_start();
    if (!thread_start())
        return 1;
    guard_active = true;
    order_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
