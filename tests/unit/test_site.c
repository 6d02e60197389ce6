/* Tests of the budget of allocation sites. */
#include "unit.h"

#include "registry/site.h"

static void spends_first_then_refills(void **state)
{
    (void)state;
    struct site site = {.number = 1};
    assert_true(site_start(3, 1000));
    atomic_store(&clock_coarse, 5000);
    for (int i = 0; i < 3; i++)
        assert_true(site_take(&site, 0));
    assert_false(site_take(&site, 0));
    atomic_store(&clock_coarse, 5999);
    assert_false(site_take(&site, 0));
    atomic_store(&clock_coarse, 6000);
    assert_true(site_take(&site, 0));
    assert_false(site_take(&site, 0));
    assert_int_equal(atomic_load(&site.spent), 4);
    atomic_store(&clock_coarse, 7999); /* twice as long as before */
    assert_false(site_take(&site, 0));
    atomic_store(&clock_coarse, 8000);
    assert_true(site_take(&site, 0));
}

static void spends_less_where_room_is_short(void **state)
{
    (void)state;
    struct site site = {.number = 1}, other = {.number = 2};
    assert_true(site_start(8, 1000));
    atomic_store(&clock_coarse, 5000);
    for (int i = 0; i < 4; i++)
        assert_true(site_take(&site, 1));
    assert_false(site_take(&site, 1));
    assert_true(site_take(&other, 4)); /* each site gets one */
    assert_false(site_take(&other, 4));
}

static void spends_nothing_without_budget(void **state)
{
    (void)state;
    struct site site = {.number = 1};
    assert_true(site_start(0, 1));
    atomic_store(&clock_coarse, 100000);
    assert_false(site_take(&site, 0));
    assert_false(site_take(&site, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spends_first_then_refills),
        cmocka_unit_test(spends_less_where_room_is_short),
        cmocka_unit_test(spends_nothing_without_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
