/* Tests of what a thread is given at its start: the object that the argument lies in, and those
 * that its words point to, as far as its end is known, are used by the thread. */
#include "unit.h"

#include "base/clock.h"
#include "base/output.h"
#include "event/lock.h"
#include "event/use.h"

bool event_locks_unwind, event_heap_watched = true;

static struct object *make(size_t size)
{
    struct object *object = arena_allocate(size, 16);
    assert_non_null(object);
    return object;
}

static void *place(const struct object *object)
{
    return (void *)object->address;
}

static bool is_used(const struct object *object)
{
    struct use uses[OBJECT_USES];
    size_t count = use_users(object, uses, OBJECT_USES);
    if (count == 0)
        return false;
    assert_int_equal(count, 1);
    assert_int_equal(uses[0].sources, 1 << USE_ARGUMENT);
    assert_int_equal(uses[0].caller, (uintptr_t)make + 1);
    return true;
}

static void begin(void *argument)
{
    void *(*entry)(size_t) = (void *(*)(size_t))make;
    memcpy(&guard.thread->entry, &entry, sizeof entry);
    guard.thread->argument = argument;
    event_thread_began();
}

/* To the end of the object, and 64 words at most. */
static void words_of_a_guarded_object(void **state)
{
    (void)state;
    struct object *argument = make(80 * sizeof(void *)), *second = make(64), *last = make(64),
                  *beyond = make(64), *other = make(64);
    void **words = place(argument);
    words[1] = (char *)place(second) + 8;
    words[63] = place(last);
    words[64] = place(beyond);
    begin(words);
    assert_true(is_used(argument) && is_used(second) && is_used(last));
    assert_false(is_used(beyond) || is_used(other));
}

static void words_from_the_middle(void **state)
{
    (void)state;
    struct object *argument = make(4 * sizeof(void *)), *before = make(64), *after = make(64);
    void **words = place(argument);
    words[0] = place(before);
    words[3] = place(after);
    begin(&words[2]);
    assert_true(is_used(argument) && is_used(after));
    assert_false(is_used(before));
}

/* Nothing tells where what lies elsewhere ends. */
static void words_of_other_memory(void **state)
{
    (void)state;
    void *words[9] = {0};
    struct object *near = make(64), *far = make(64);
    words[7] = place(near);
    words[8] = place(far);
    begin(words);
    assert_true(is_used(near));
    assert_false(is_used(far));
}

static void numbers_and_the_dead_are_none(void **state)
{
    (void)state;
    struct object *dead = make(64);
    void *words[8] = {place(dead)};
    atomic_store(&dead->state, OBJECT_DEAD);
    begin(words);
    assert_false(is_used(dead));
    begin(NULL);
    begin((void *)3);
    begin((char *)words + 1);
}

static void ignored_touch_is_none(void **state)
{
    (void)state;
    struct object *object = make(64);
    guard.thread->ignoring = 1;
    begin(place(object));
    guard.thread->ignoring = 0;
    assert_false(is_used(object));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_guarded_object),
        cmocka_unit_test(words_from_the_middle),
        cmocka_unit_test(words_of_other_memory),
        cmocka_unit_test(numbers_and_the_dead_are_none),
        cmocka_unit_test(ignored_touch_is_none),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    clock_start();
    if (!thread_start() || !arena_start(&options) || !use_start())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
