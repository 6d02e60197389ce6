/* Tests of what a program tells of its objects: lives at one address, names, the table when it is
 * full, and which threads need what. */
#include "unit.h"

#include "base/clock.h"
#include "base/output.h"
#include "registry/annotated_object.h"
#include "registry/need.h"
#include "registry/use.h"

#include <pthread.h>

static const struct caller nowhere = {0, 0};

static bool is_dead(uintptr_t address)
{
    struct annotated_object copy;
    bool dead = annotated_object_is_dead(address, &copy);
    assert_true(!dead || annotated_object_seems_dead(address));
    return dead;
}

static void lives_at_one_address(void **state)
{
    (void)state;
    struct annotated_object copy;
    assert_false(annotated_object_died(0x100, nowhere, &copy)); /* not known */
    assert_true(annotated_object_born(0x100, 64, "whole", nowhere));
    assert_true(annotated_object_born(0x100, 8, "part", nowhere));
    assert_false(annotated_object_died(0x100, nowhere, &copy));
    assert_false(is_dead(0x100));
    assert_true(annotated_object_died(0x100, nowhere, &copy));
    assert_string_equal(copy.name, "whole");
    assert_int_equal(copy.size, 64);
    assert_true(is_dead(0x100));
    assert_false(annotated_object_died(0x100, nowhere, &copy)); /* twice */
    assert_true(annotated_object_born(0x100, 8, NULL, nowhere));
    assert_false(is_dead(0x100));
    assert_true(annotated_object_at(0x100, &copy));
    assert_string_equal(copy.name, "");
}

static void forgotten_death_is_a_new_life(void **state)
{
    (void)state;
    struct annotated_object copy;
    for (int i = 0; i < 3; i++)
        assert_true(annotated_object_born(0x200, 32, "same", nowhere));
    assert_true(annotated_object_died(0x200, nowhere, &copy));
    assert_true(is_dead(0x200));
}

/* The dead of before may live: a birth was missed. */
static void missed_birth_proves_nothing(void **state)
{
    (void)state;
    struct annotated_object copy;
    assert_true(annotated_object_born(0x300, 32, "x", nowhere));
    assert_true(annotated_object_died(0x300, nowhere, &copy));
    annotated_object_missed(0x300);
    assert_false(is_dead(0x300));
    assert_true(annotated_object_born(0x300, 32, "x", nowhere));
    assert_true(annotated_object_died(0x300, nowhere, &copy));
    assert_true(is_dead(0x300));
}

static void names_are_made_fit(void **state)
{
    (void)state;
    char copy[ANNOTATION_NAME_SIZE], lengthy[200];
    annotation_copy_name(copy, NULL);
    assert_string_equal(copy, "");
    annotation_copy_name(copy, "a\nb\1c");
    assert_string_equal(copy, "a?b?c");
    memset(lengthy, 'x', sizeof lengthy);
    annotation_copy_name(copy, lengthy); /* has no end */
    assert_int_equal(strlen(copy), ANNOTATION_NAME_SIZE - 1);
}

static void smallest_around_is_found(void **state)
{
    (void)state;
    struct annotated_object copy;
    assert_true(annotated_object_born(0x1000, 256, "outer", nowhere));
    assert_true(annotated_object_born(0x1040, 32, "inner", nowhere));
    assert_true(annotated_object_around(0x1000, 256, 0x1048, &copy));
    assert_string_equal(copy.name, "inner");
    assert_true(annotated_object_around(0x1000, 256, 0x1060, &copy));
    assert_string_equal(copy.name, "outer");
    assert_false(annotated_object_around(0x1000, 256, 0x1200, &copy));
}

/* Dead ones leave, live ones stay, and at last nothing fits. */
static void full_table(void **state)
{
    (void)state;
    enum { MANY = 300000 };
    struct annotated_object copy;
    const uintptr_t first = 0x10000000;
    for (uintptr_t i = 0; i < MANY; i++) {
        assert_true(annotated_object_born(first + i * 16, 16, "x", nowhere));
        assert_true(annotated_object_died(first + i * 16, nowhere, &copy));
    }
    assert_true(is_dead(first + (MANY - 1) * 16));
    assert_false(annotated_object_at(first, &copy));
    size_t fits = 0;
    for (uintptr_t i = 0; i < MANY; i++)
        fits += annotated_object_born(first + i * 16, 16, "x", nowhere);
    assert_true(fits > 60000 && fits <= 65536);
    for (uintptr_t i = 0; i < MANY; i++)
        (void)annotated_object_died(first + i * 16, nowhere, &copy);
}

static pthread_barrier_t told, leave;

static void *needs_two(void *record)
{
    thread_begin(record);
    assert_true(need_add(0x5000, 64, nowhere));
    assert_true(need_add(0x5000, 64, nowhere)); /* once */
    assert_true(need_add(0x6000, 64, nowhere));
    need_drop(0x6030);
    pthread_barrier_wait(&told);
    pthread_barrier_wait(&leave);
    thread_end(false);
    return NULL;
}

static void needs_of_other_live_threads(void **state)
{
    (void)state;
    struct need needs[4];
    pthread_t thread;
    pthread_barrier_init(&told, NULL, 2);
    pthread_barrier_init(&leave, NULL, 2);
    assert_true(need_add(0x5000, 64, nowhere)); /* the caller's own */
    struct thread *record = thread_create(NULL, NULL, 0, THREAD_CREATED);
    thread_reference reference = record->reference;
    pthread_create(&thread, NULL, needs_two, record);
    pthread_barrier_wait(&told);
    assert_true(need_any);
    assert_int_equal(need_end(0x6000, 64, needs, 4), 0);
    assert_int_equal(need_end(0x4000, 0x1000, needs, 4), 0);
    assert_int_equal(need_end(0x4000, 0x1001, needs, 4), 1);
    assert_int_equal(needs[0].thread, reference);
    assert_int_equal(needs[0].address, 0x5000);
    assert_int_equal(need_end(0x5000, 64, needs, 4), 0); /* told once */
    pthread_barrier_wait(&leave);
    pthread_join(thread, NULL);
}

static void *needs_and_ends(void *record)
{
    thread_begin(record);
    assert_true(need_add(0x7000, 64, nowhere));
    thread_end(false);
    return NULL;
}

static void thread_that_ended_needs_nothing(void **state)
{
    (void)state;
    struct need needs[4];
    for (int i = 0; i < 5000; i++) { /* more than there are places */
        pthread_t thread;
        struct thread *record = thread_create(NULL, NULL, 0, THREAD_CREATED);
        assert_non_null(record);
        pthread_create(&thread, NULL, needs_and_ends, record);
        pthread_join(thread, NULL);
    }
    assert_int_equal(need_end(0x7000, 64, needs, 4), 0);
}

/* Who has handed an object over uses it no more, until the next touch; what is ignored is none. */
static void use_ends_when_handed_over(void **state)
{
    (void)state;
    struct use uses[OBJECT_USES];
    struct object *object = object_new();
    assert_non_null(object);
    object->address = 0x10000;
    use_handed_over(object);
    use_note(object, USE_ANNOTATION, "touch", nowhere);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 1);
    use_handed_over(object);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 0);
    guard.thread->ignoring = 1;
    use_note(object, USE_ANNOTATION, "touch", nowhere);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 0);
    guard.thread->ignoring = 0;
    use_note(object, USE_ANNOTATION, "touch", nowhere);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 1);
}

static int start(void **state)
{
    (void)state;
    static char *no_environment[] = {NULL};
    static struct options options;
    options_default(&options);
    output_start(&options, no_environment);
    clock_start();
    return thread_start() && object_start() && use_start() && annotated_object_start() ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_at_one_address),
        cmocka_unit_test(forgotten_death_is_a_new_life),
        cmocka_unit_test(missed_birth_proves_nothing),
        cmocka_unit_test(names_are_made_fit),
        cmocka_unit_test(smallest_around_is_found),
        cmocka_unit_test(needs_of_other_live_threads),
        cmocka_unit_test(thread_that_ended_needs_nothing),
        cmocka_unit_test(use_ends_when_handed_over),
        cmocka_unit_test(full_table),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
