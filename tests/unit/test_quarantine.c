/* Tests of heap/quarantine: what is kept, in which order it leaves, and what is noticed then. */
#include "unit.h"

#include "heap/quarantine.h"

#define BLOCKS 16

static _Alignas(16) uint64_t memory[BLOCKS][16];
static void *released[BLOCKS];
static size_t release_count, late_writes;
static uint32_t late_word;

static void release(void *address)
{
    released[release_count++ % BLOCKS] = address;
}

static void late_write(const struct block *block, uint32_t word, uint64_t found)
{
    (void)block;
    (void)found;
    late_writes++;
    late_word = word;
}

static struct thread_block *start(uint64_t blocks, uint64_t rate)
{
    static struct thread_block owner;
    static struct options options;
    const struct quarantine_calls calls = {release, late_write};
    owner = (struct thread_block){.number = 0, .reference = 7};
    options = (struct options){.quarantine_blocks = blocks,
                               .quarantine_size = 16384,
                               .quarantine_rate = rate,
                               .poison = 32,
                               .shutdown_memory = 3 * sizeof memory[0]};
    release_count = late_writes = 0;
    quarantine = (struct quarantine){.ring_blocks = QUARANTINE_NO_RING};
    assert_true(quarantine_start(&options, &calls));
    return &owner;
}

static bool put(struct thread_block *owner, size_t number)
{
    return quarantine_put(owner, memory[number], sizeof memory[0], 5, ORIGIN_FREE);
}

static void oldest_leaves_first(void **state)
{
    struct thread_block *owner = start(4, 0);
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_true(put(owner, i));
    assert_int_equal(release_count, 0);
    for (size_t i = 4; i < 12; i++)
        assert_true(put(owner, i));
    assert_int_equal(release_count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_ptr_equal(released[i], memory[i]);
    assert_int_equal(memory[0][0], 0); /* no poison is left for the next owner */
    assert_int_equal(late_writes, 0);
    quarantine_flush(owner);
    assert_int_equal(release_count, 12);
}

static void poison_names_its_block(void **state)
{
    struct thread_block *owner = start(4, 0);
    (void)state;
    assert_true(put(owner, 0));
    for (size_t word = 0; word < 4; word++) {
        const struct block *block = quarantine_find(memory[0][word]);
        assert_non_null(block);
        assert_int_equal(block->address, (uintptr_t)memory[0]);
        assert_int_equal(block->end_thread, 7);
        assert_int_equal(block->where, 5);
        assert_ptr_equal(quarantine_at(&memory[0][word]), block);
    }
    assert_false(poison_looks_like(memory[0][4]));
    uint64_t old = memory[0][1];
    quarantine_flush(owner);
    assert_null(quarantine_find(old));
    assert_true(put(owner, 1));
    assert_null(quarantine_find(old)); /* the record has another user */
}

static void late_write_is_noticed_when_it_leaves(void **state)
{
    struct thread_block *owner = start(4, 0);
    (void)state;
    assert_true(put(owner, 0));
    memory[0][2] = 42;
    quarantine_flush(owner);
    assert_int_equal(late_writes, 1);
    assert_int_equal(late_word, 2);
}

static void large_blocks_pass(void **state)
{
    struct thread_block *owner = start(4, 0);
    (void)state;
    assert_false(quarantine_put(owner, memory[0], 1025, 5, ORIGIN_FREE));
    assert_true(quarantine_put(owner, memory[0], 1024, 5, ORIGIN_FREE));
}

static void burst_is_sampled_until_the_thread_waits(void **state)
{
    struct thread_block *owner = start(4, 3);
    (void)state;
    owner->quarantine_ticks = clock_ticks() + (UINT64_C(1) << 40); /* the period does not end */
    owner->quarantine_left = 3;
    for (size_t i = 0; i < 3; i++) {
        assert_false(quarantine_skips(owner));
        assert_true(put(owner, i));
    }
    assert_false(quarantine_skips(owner));
    assert_true(put(owner, 3));
    for (size_t i = 1; i < QUARANTINE_EACH; i++)
        assert_true(quarantine_skips(owner));
    assert_false(quarantine_skips(owner));
    owner->quarantine_skip = QUARANTINE_EACH - 1;
    guard.block = owner;
    quarantine_end_burst();
    guard.block = NULL;
    assert_false(quarantine_skips(owner));
}

static void shutdown_keeps_all_that_fits(void **state)
{
    struct thread_block *owner = start(4, 0);
    (void)state;
    quarantine_begin_shutdown();
    for (size_t i = 0; i < 3; i++)
        assert_true(put(owner, i));
    assert_int_equal(release_count, 0);
    const struct block *block = quarantine_find(memory[0][15]); /* poisoned to its end */
    assert_non_null(block);
    assert_true(block->in_shutdown);
    assert_true(put(owner, 3)); /* memory is full: the oldest leaves */
    assert_int_equal(release_count, 1);
    assert_ptr_equal(released[0], memory[0]);
    memory[2][9] = 1;
    quarantine_check();
    assert_int_equal(late_writes, 1);
    assert_int_equal(late_word, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_leaves_first),
        cmocka_unit_test(poison_names_its_block),
        cmocka_unit_test(late_write_is_noticed_when_it_leaves),
        cmocka_unit_test(large_blocks_pass),
        cmocka_unit_test(burst_is_sampled_until_the_thread_waits),
        cmocka_unit_test(shutdown_keeps_all_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
