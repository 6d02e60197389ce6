/* Tests of the resolver's reading of function names. */
#include "unit.h"

#include "resolver/type.h"

static void reads_the_type(void **state)
{
    static const struct {
        const char *function, *type;
        enum maker maker;
    } rows[] = {
        {"std::__new_allocator<Host>::allocate(unsigned long, void const*)", "Host",
         MAKER_ALLOCATOR},
        {"__gnu_cxx::new_allocator<a::B<int, 4> >::allocate(unsigned long, void const*)",
         "a::B<int, 4>", MAKER_ALLOCATOR},
        {"std::allocator_traits<std::allocator<Host> >::allocate(std::allocator<Host>&, unsigned "
         "long)",
         "Host", MAKER_ALLOCATOR_TRAITS},
        {"std::__new_allocator<std::_Rb_tree_node<std::pair<std::string const, Host> > "
         ">::allocate(unsigned long, void const*)",
         "node of a std::map or std::set of std::pair<std::string const, Host>", MAKER_ALLOCATOR},
        {"std::__new_allocator<std::__detail::_Hash_node<std::pair<int const, Host>, false> "
         ">::allocate(unsigned long, void const*)",
         "node of a std::unordered_map or set of std::pair<int const, Host>", MAKER_ALLOCATOR},
        {"std::__new_allocator<std::_Sp_counted_ptr_inplace<Host, std::allocator<void>, "
         "(__gnu_cxx::_Lock_policy)2> >::allocate(unsigned long, void const*)",
         "shared object Host", MAKER_ALLOCATOR},
        {"std::__new_allocator<void (*)(int, char)>::allocate(unsigned long, void const*)",
         "void (*)(int, char)", MAKER_ALLOCATOR},
        {"std::__detail::_MakeUniq<a::B>::__single_object std::make_unique<a::B, int>(int&&)",
         "a::B", MAKER_UNIQUE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum maker maker;
        char *type = type_from_function(rows[i].function, &maker);
        assert_non_null(type);
        assert_string_equal(type, rows[i].type);
        assert_int_equal(maker, rows[i].maker);
        free(type);
    }
}

static void guesses_nothing(void **state)
{
    static const char *const functions[] = {
        "",
        "std::__new_allocator<",
        "std::__new_allocator<Host>::deallocate(Host*, unsigned long)",
        "void std::__new_allocator<Host>::construct<Host>(Host*)",
        "run(std::__new_allocator<Host>&)",
        "std::__detail::_MakeUniq<Host[]>::__array std::make_unique<Host[]>(unsigned long)",
        "pool::make_unique<Host>()",
        "Host::Host()",
    };
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        enum maker maker;
        assert_null(type_from_function(functions[i], &maker));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_type),
        cmocka_unit_test(guesses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
