/* Tests of destructors by their mangled names. */
#include "unit.h"

#include "patch/destructor.h"

static void takes_destructors(void **state)
{
    static const struct {
        const char *name;
        enum destructor_kind kind;
    } rows[] = {
        {"_ZN1AD0Ev", DESTRUCTOR_DELETING},
        {"_ZN6server7MonitorD1Ev", DESTRUCTOR_COMPLETE},
        {"_ZN6server7MonitorD2Ev.lto_priv.0", DESTRUCTOR_BASE},
        {"_ZN6server7MonitorD2Ev.llvm.123456", DESTRUCTOR_BASE},
        {"_ZZN3foo3barEvEN5LocalD1Ev", DESTRUCTOR_COMPLETE},
        {"_ZN5A3fooD1Ev", DESTRUCTOR_COMPLETE},
        {"_ZN3re23RE2D1Ev", DESTRUCTOR_COMPLETE}, /* no "D1" of two letters */
        {"_ZN1AIL1B42ELS0_42EED1Ev", DESTRUCTOR_COMPLETE},
        {"_ZZN1AaSERKS_EN5LocalD1Ev", DESTRUCTOR_COMPLETE},
        {"_ZN1AILN1B1CE5E2abED0Ev", DESTRUCTOR_DELETING}, /* 5 is a value */
        {"_ZN12_GLOBAL__N_11AD1Ev", DESTRUCTOR_COMPLETE},
        {"_ZNSt6vectorIiSaIiEED2Ev", DESTRUCTOR_BASE},
        {"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEED1Ev", DESTRUCTOR_COMPLETE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct destructor destructor;
        assert_true(destructor_parse(rows[i].name, &destructor));
        assert_int_equal(destructor.kind, rows[i].kind);
        assert_int_equal(destructor.class_length, strcspn(rows[i].name, ".") - 4);
    }
}

static void leaves_others(void **state)
{
    static const char *const names[] = {"",
                                        "_",
                                        "_Z",
                                        "_ZN",
                                        "_ZD1Ev",
                                        "_ZND1Ev",
                                        "_ZN1AC1Ev",
                                        "_ZN1AD4Ev",
                                        "_ZN1AD1Ei",
                                        "D1Ev",
                                        "_ZN1AD1Evx",
                                        "__ZN1AD1Ev",
                                        "_ZThn16_N1AD1Ev", /* a thunk jumps to the real one */
                                        "_ZN3foo4aaD1Ev",  /* foo::aaD1() */
                                        "_ZN3foo12abcdefghijD1Ev",
                                        "_ZN1AD1Ev.cold",
                                        "_ZN1AD1Ev.part.0",
                                        "_ZN1AD1Ev.isra.0",
                                        "_ZN1AD1Ev.lto_priv.0.cold",
                                        "_ZN1AD1Ev.constprop.0"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct destructor destructor;
        assert_false(destructor_parse(names[i], &destructor));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_destructors),
        cmocka_unit_test(leaves_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
