/* Tests of registry/descriptor and its quarantine: lives, generations, and numbers kept from reuse.
 */
#include "unit.h"

#include "registry/descriptor.h"
#include "registry/descriptor_quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct caller caller = {0x1234, 0x5678};

static int start(void **state)
{
    (void)state;
    return thread_start() && descriptor_start() ? 0 : -1;
}

static int made(void)
{
    int number = open("/dev/null", O_RDONLY);
    assert_true(descriptor_in_range(number));
    descriptor_born(number, "open", caller);
    return number;
}

static void end(int number, uint64_t flags)
{
    assert_true(descriptor_claim(number, descriptor_word(number)));
    descriptor_end(number, "close", caller, flags);
}

static enum descriptor_state state_of(int number)
{
    return descriptor_state_of(descriptor_word(number));
}

static void number_remembers_the_life_before(void **state)
{
    struct descriptor copy;
    int number = made();
    (void)state;
    uint64_t first = descriptor_word(number);
    assert_int_equal(state_of(number), DESCRIPTOR_OPEN);
    end(number, 0);
    assert_int_equal(state_of(number), DESCRIPTOR_CLOSED);
    assert_false(descriptor_claim(number, first)); /* somebody else was first */
    close(number);
    assert_int_equal(made(), number);
    assert_true(descriptor_read(number, &copy));
    assert_int_equal(descriptor_generation(copy.word), descriptor_generation(first) + 1);
    assert_string_equal(copy.before.end.how, "close");
    assert_string_equal(copy.now.birth.how, "open");
    assert_null(copy.now.end.how);
    end(number, 0);
    close(number);
}

static void unseen_end_leaves_no_story(void **state)
{
    struct descriptor copy;
    int number = made();
    (void)state;
    descriptor_born(number, "socket", caller);
    assert_true(descriptor_read(number, &copy));
    assert_null(copy.before.birth.how);
    descriptor_forget(number);
    assert_int_equal(state_of(number), DESCRIPTOR_UNKNOWN);
    assert_false(descriptor_claim(number, descriptor_word(number)));
    close(number);
}

static void replacing_keeps_the_stream(void **state)
{
    struct descriptor copy;
    int number = made(), stream;
    (void)state;
    descriptor_set_stream(number, &stream);
    descriptor_replaced(number, "dup2", caller);
    assert_true(descriptor_read(number, &copy));
    assert_ptr_equal(copy.now.stream, &stream);
    assert_null(copy.before.end.how); /* it was never closed */
    end(number, 0);
    close(number);
}

static void shutdown_is_remembered(void **state)
{
    struct descriptor copy;
    int number = made();
    (void)state;
    assert_true(descriptor_set(number, descriptor_word(number), DESCRIPTOR_SHUT));
    end(number, 0);
    assert_true(descriptor_read(number, &copy));
    assert_true(copy.now.shut);
    close(number);
}

static void first_births_of_a_site_are_cold(void **state)
{
    const struct caller site = {0x9999, 0x8888};
    int cold = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        descriptor_born(100, "open", site);
        cold += (descriptor_word(100) & DESCRIPTOR_COLD) != 0;
        end(100, 0);
    }
    assert_int_equal(cold, 8);
    descriptor_forget(100);
}

static int keep(void)
{
    int number = made();
    assert_true(descriptor_quarantine_takes(number));
    end(number, DESCRIPTOR_KEPT);
    assert_true(descriptor_quarantine_keep(number));
    return number;
}

static bool is_dead(int number)
{
    char byte;
    return read(number, &byte, 1) == -1 && errno == EBADF;
}

static void kept_numbers_are_not_handed_out(void **state)
{
    int numbers[4];
    (void)state;
    descriptor_quarantine_start(3);
    assert_false(descriptor_quarantine_takes(2));
    for (int i = 0; i < 4; i++) {
        numbers[i] = keep();
        assert_true(descriptor_is_kept(numbers[i]));
        assert_true(is_dead(numbers[i]));
        for (int j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
    }
    assert_false(descriptor_is_kept(numbers[0])); /* the oldest gave way */
    assert_false(descriptor_is_open(numbers[0]));
    assert_int_equal(state_of(numbers[0]), DESCRIPTOR_CLOSED);
    assert_true(descriptor_quarantine_empty());
    assert_false(descriptor_quarantine_empty());
    for (int i = 0; i < 4; i++)
        assert_false(descriptor_is_open(numbers[i]));
}

static void number_that_was_taken_is_not_closed(void **state)
{
    (void)state;
    descriptor_quarantine_start(3);
    int number = keep(), file = open("/dev/null", O_RDONLY);
    descriptor_quarantine_yield(number);
    assert_int_equal(dup2(file, number), number);
    descriptor_replaced(number, "dup2", caller);
    (void)descriptor_quarantine_empty();
    assert_true(descriptor_is_open(number));
    end(number, 0);
    close(number);
    close(file);
}

static void number_closed_unseen_is_not_kept(void **state)
{
    (void)state;
    descriptor_quarantine_start(3);
    int number = made();
    close(number);
    end(number, DESCRIPTOR_KEPT);
    assert_false(descriptor_quarantine_keep(number));
    assert_false(descriptor_is_kept(number));
    assert_false(descriptor_is_open(number));
}

static void pause_keeps_none(void **state)
{
    (void)state;
    descriptor_quarantine_start(3);
    int number = keep();
    descriptor_quarantine_pause(true);
    assert_false(descriptor_is_open(number));
    assert_false(descriptor_quarantine_takes(number));
    descriptor_quarantine_pause(false);
    assert_true(descriptor_quarantine_takes(number));
}

static void child_knows_nothing(void **state)
{
    (void)state;
    descriptor_quarantine_start(3);
    int number = made(), kept = keep();
    descriptor_quarantine_prepare_fork();
    descriptor_quarantine_forked(true);
    descriptor_forked();
    assert_int_equal(state_of(number), DESCRIPTOR_UNKNOWN);
    assert_int_equal(state_of(kept), DESCRIPTOR_UNKNOWN);
    assert_true(descriptor_is_open(number));
    assert_false(descriptor_is_open(kept));
    close(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_remembers_the_life_before),
        cmocka_unit_test(unseen_end_leaves_no_story),
        cmocka_unit_test(replacing_keeps_the_stream),
        cmocka_unit_test(shutdown_is_remembered),
        cmocka_unit_test(first_births_of_a_site_are_cold),
        cmocka_unit_test(kept_numbers_are_not_handed_out),
        cmocka_unit_test(number_that_was_taken_is_not_closed),
        cmocka_unit_test(number_closed_unseen_is_not_kept),
        cmocka_unit_test(pause_keeps_none),
        cmocka_unit_test(child_knows_nothing),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
