/* Tests of registry/close_run: which closes are a loop over all numbers. */
#include "unit.h"

#include "registry/close_run.h"

#define PLACE 0x1000
#define ELSEWHERE 0x2000

static void add(struct close_run *run, int number, enum close_target target)
{
    close_run_add(run, number, PLACE, target);
}

static void one_close_is_no_loop(void **state)
{
    struct close_run run = {0};
    (void)state;
    assert_false(close_run_is_loop(&run));
    add(&run, 7, CLOSE_SECOND);
    assert_false(close_run_is_loop(&run));
    add(&run, 7, CLOSE_SECOND);
    assert_false(close_run_is_loop(&run));
}

static void numbers_that_nobody_opened_make_a_loop(void **state)
{
    struct close_run up = {0}, down = {0};
    (void)state;
    add(&up, 3, CLOSE_SECOND);
    add(&up, 4, CLOSE_UNOPENED);
    assert_true(close_run_is_loop(&up));
    add(&down, 20, CLOSE_UNOPENED);
    add(&down, 19, CLOSE_SECOND);
    assert_true(close_run_is_loop(&down));
}

static void loop_may_leave_numbers_out(void **state)
{
    struct close_run run = {0};
    (void)state;
    add(&run, 3, CLOSE_LIVE);
    add(&run, 6, CLOSE_SECOND);
    assert_false(close_run_is_loop(&run));
    add(&run, 8, CLOSE_UNOPENED);
    assert_true(close_run_is_loop(&run));
}

static void numbers_in_turn_make_a_loop(void **state)
{
    struct close_run run = {0};
    (void)state;
    add(&run, 3, CLOSE_LIVE);
    add(&run, 4, CLOSE_SECOND);
    add(&run, 5, CLOSE_LIVE);
    assert_false(close_run_is_loop(&run)); /* what one owner may hold */
    add(&run, 6, CLOSE_LIVE);
    assert_true(close_run_is_loop(&run));
}

static void questions_tell_a_loop_that_closes_what_is_open(void **state)
{
    struct close_run closes = {0}, questions = {0};
    (void)state;
    add(&closes, 3, CLOSE_LIVE);
    close_run_add(&questions, 4, ELSEWHERE, CLOSE_SECOND);
    add(&closes, 5, CLOSE_LIVE);
    close_run_add(&questions, 6, ELSEWHERE, CLOSE_SECOND);
    assert_false(close_run_surrounds(&questions, &closes)); /* may be what one owns */
    close_run_add(&questions, 7, ELSEWHERE, CLOSE_UNOPENED);
    assert_true(close_run_surrounds(&questions, &closes));
    struct close_run later = {0};
    add(&later, 8, CLOSE_LIVE);
    assert_false(close_run_surrounds(&questions, &later));
    struct close_run down = {0};
    add(&down, 6, CLOSE_LIVE);
    add(&down, 5, CLOSE_LIVE);
    assert_false(close_run_surrounds(&questions, &down));
}

static void array_of_numbers_is_no_loop(void **state)
{
    struct close_run run = {0};
    (void)state;
    add(&run, 10, CLOSE_SECOND);
    add(&run, 12, CLOSE_LIVE);
    add(&run, 13, CLOSE_LIVE);
    add(&run, 14, CLOSE_LIVE);
    assert_false(close_run_is_loop(&run));
}

static void second_closes_alone_are_no_loop(void **state)
{
    struct close_run run = {0};
    (void)state;
    for (int number = 3; number < 9; number++)
        add(&run, number, CLOSE_SECOND);
    assert_false(close_run_is_loop(&run));
}

static void run_ends(void **state)
{
    struct close_run run = {0};
    (void)state;
    add(&run, 3, CLOSE_UNOPENED);
    assert_true(close_run_continues(&run, 4, PLACE));
    assert_true(close_run_continues(&run, 2, PLACE));
    assert_false(close_run_continues(&run, 3, PLACE));
    assert_false(close_run_continues(&run, 4, ELSEWHERE));
    assert_false(close_run_continues(&run, 40, PLACE));
    add(&run, 4, CLOSE_UNOPENED);
    assert_false(close_run_continues(&run, 3, PLACE)); /* it goes up */
    add(&run, 40, CLOSE_SECOND);
    assert_int_equal(run.length, 1);
    assert_false(close_run_is_loop(&run));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_close_is_no_loop),
        cmocka_unit_test(numbers_that_nobody_opened_make_a_loop),
        cmocka_unit_test(loop_may_leave_numbers_out),
        cmocka_unit_test(numbers_in_turn_make_a_loop),
        cmocka_unit_test(questions_tell_a_loop_that_closes_what_is_open),
        cmocka_unit_test(array_of_numbers_is_no_loop),
        cmocka_unit_test(second_closes_alone_are_no_loop),
        cmocka_unit_test(run_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
