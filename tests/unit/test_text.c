/* Tests of base/text. */
#include "unit.h"

#include "base/text.h"

static void formats(void **state)
{
    char buffer[128];
    struct text text = text_in(buffer, sizeof buffer);
    (void)state;
    text_format(&text, "%s %c %d %u %ld %lx %p %% %zu", "word", 'c', -5, 7u, -9000000000L, 255UL,
                (void *)16, (size_t)3);
    assert_string_equal(buffer, "word c -5 7 -9000000000 ff 0x10 % 3");
    assert_false(text.cut);
}

static void cuts(void **state)
{
    char buffer[6];
    struct text text = text_in(buffer, sizeof buffer);
    (void)state;
    text_add(&text, "123456789");
    assert_string_equal(buffer, "12345");
    assert_true(text.cut);
    text_add(&text, NULL);
    assert_int_equal(text.length, 5);
}

static void parses_sizes(void **state)
{
    uint64_t number;
    (void)state;
    assert_true(text_parse_size("0", 1, &number) && number == 0);
    assert_true(text_parse_size("4K", 2, &number) && number == 4096);
    assert_true(text_parse_size("2G", 2, &number) && number == UINT64_C(2) << 30);
    assert_true(text_parse_size("18446744073709551615", 20, &number) && number == UINT64_MAX);
    assert_false(text_parse_size("18446744073709551616", 20, &number));
    assert_false(text_parse_size("99999999999G", 12, &number));
    assert_false(text_parse_size("", 0, &number));
    assert_false(text_parse_size("K", 1, &number));
    assert_false(text_parse_size("1x", 2, &number));
    assert_false(text_parse_size("-1", 2, &number));
}

static void matches(void **state)
{
    (void)state;
    assert_true(text_matches("Monitor::run()", "Monitor"));
    assert_true(text_matches("Monitor::run()", "^Mon*run()$"));
    assert_true(text_matches("aXbXc", "a*c"));
    assert_true(text_matches("", "*"));
    assert_true(text_matches("anything", ""));
    assert_false(text_matches("Monitor::run()", "^run"));
    assert_false(text_matches("Monitor::run()", "run$"));
    assert_false(text_matches("", "a"));
    assert_true(text_matches("aaaaaaaaaaaaaaaaaaaab", "a*a*a*a*b"));
}

static void compares(void **state)
{
    (void)state;
    assert_true(text_equal("a", "a"));
    assert_false(text_equal("a", "ab"));
    assert_string_equal(text_find("haystack", "st"), "stack");
    assert_null(text_find("haystack", "needle"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats), cmocka_unit_test(cuts),     cmocka_unit_test(parses_sizes),
        cmocka_unit_test(matches), cmocka_unit_test(compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
