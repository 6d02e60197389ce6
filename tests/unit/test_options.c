/* Tests of base/options. */
#include "unit.h"

#include "base/options.h"

#include <stdio.h>

static struct options options;
static char error[256];

static int start(void **state)
{
    (void)state;
    options_default(&options);
    memset(error, 'x', sizeof error - 1);
    return 0;
}

static void has_defaults(void **state)
{
    size_t count;
    (void)state;
    assert_true(options.enabled);
    assert_int_equal(options.exitcode, 66);
    assert_string_equal(options.guard, "auto");
    assert_string_equal(options.shutdown_signals, "TERM,INT,QUIT");
    const struct option_row *rows = options_rows(&count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(rows[i].name);
        assert_true(strlen(rows[i].help) > 0);
    }
}

/* What the usage and the docs show can be written back. */
static void shows_defaults_that_it_takes(void **state)
{
    static struct options defaults;
    size_t count;
    (void)state;
    options_default(&defaults);
    const struct option_row *rows = options_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char pair[256];
        assert_in_range(snprintf(pair, sizeof pair, "%s='%s'", rows[i].name, rows[i].initial), 1,
                        sizeof pair - 1);
        assert_true(options_parse(&options, pair, error, sizeof error));
    }
    assert_memory_equal(&options, &defaults, sizeof options);
}

static void takes_pairs(void **state)
{
    (void)state;
    assert_true(options_parse(&options,
                              "  poison=64:halt_on_error=0\tlog_path='/tmp/a b:c.%p' guard=marker"
                              " guard_memory=1G ",
                              error, sizeof error));
    assert_int_equal(options.poison, 64);
    assert_false(options.halt_on_error);
    assert_string_equal(options.log_path, "/tmp/a b:c.%p");
    assert_string_equal(options.guard, "marker");
    assert_int_equal(options.guard_memory, GIBI);
    assert_true(options_parse(&options, "poison=8 poison=16", error, sizeof error));
    assert_int_equal(options.poison, 16);
    assert_true(options_parse(&options, "", error, sizeof error));
}

static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"nonsense=1", "unknown option 'nonsense'"},
        {"poison", "no value for option 'poison'"},
        {"poison=", "takes a number"},
        {"poison=4097", "takes a number from 0 to 4096, not '4097'"},
        {"enabled=2", "takes 0 or 1, not '2'"},
        {"guard_memory=65G", "to 64G, not '65G'"},
        {"guard_memory=-1", "takes a number"},
        {"guard=aut", "takes one of auto|marker|userfaultfd|mprotect|off, not 'aut'"},
        {"guard=", "takes one of auto"},
        {"poiso=1", "unknown option 'poiso'"},
        {"guard=mark", "takes one of auto|marker|userfaultfd|mprotect|off, not 'mark'"},
        {"log_path='x", "lacks its closing '"},
        {"=5", "unknown option ''"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(options_parse(&options, rows[i].text, error, sizeof error));
        assert_non_null(strstr(error, rows[i].words));
        assert_null(strchr(error, '\n'));
    }
}

static void keeps_what_came_before(void **state)
{
    (void)state;
    assert_false(options_parse(&options, "poison=40 bad=1 poison=80", error, sizeof error));
    assert_int_equal(options.poison, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_defaults, start),
        cmocka_unit_test_setup(shows_defaults_that_it_takes, start),
        cmocka_unit_test_setup(takes_pairs, start),
        cmocka_unit_test_setup(names_what_is_wrong, start),
        cmocka_unit_test_setup(keeps_what_came_before, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
