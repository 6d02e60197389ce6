/* Tests of base/lock. */
#include "unit.h"

#include "base/lock.h"

#define FORK_LOCKS 9 /* capture/start.c, before_fork() */

static void gives_all_back_after_forks(void **state)
{
    static struct lock locks[FORK_LOCKS];
    (void)state;
    for (int fork = 0; fork < 20; fork++) {
        for (int i = 0; i < FORK_LOCKS; i++)
            lock_before_fork(&locks[i]);
        for (int i = FORK_LOCKS; i-- > 0;)
            lock_after_fork(&locks[i], false);
        for (int i = 0; i < FORK_LOCKS; i++)
            assert_int_equal(locks[i].state, 0);
    }
}

/* A signal handler that forks, and what it interrupted. */
static void keeps_what_was_held(void **state)
{
    static struct lock locks[FORK_LOCKS];
    (void)state;
    lock_take(&locks[6]);
    for (int i = 0; i < FORK_LOCKS; i++)
        lock_before_fork(&locks[i]);
    for (int i = FORK_LOCKS; i-- > 0;)
        lock_after_fork(&locks[i], false);
    for (int i = 0; i < FORK_LOCKS; i++)
        assert_int_equal(locks[i].state != 0, i == 6);
    lock_release(&locks[6]);
    assert_int_equal(locks[6].state, 0);
}

static void is_free_in_the_child(void **state)
{
    static struct lock lock;
    (void)state;
    lock_before_fork(&lock);
    lock_after_fork(&lock, true);
    assert_true(lock_take_within(&lock, 0));
    lock_release(&lock);
}

static void try_does_not_wait(void **state)
{
    static struct lock lock;
    (void)state;
    assert_true(lock_try(&lock));
    assert_false(lock_try(&lock));
    lock_release(&lock);
    assert_true(lock_try(&lock));
    lock_release(&lock);
    lock_abandon(); /* nothing of it is held */
    assert_true(lock_try(&lock));
    lock_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_all_back_after_forks),
        cmocka_unit_test(keeps_what_was_held),
        cmocka_unit_test(is_free_in_the_child),
        cmocka_unit_test(try_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
