/* Tests of who uses which object: touches are counted by thread, a reused record has no users, and
 * when all places are taken the thread that ended leaves, else the oldest. */
#include "unit.h"

#include "base/clock.h"
#include "base/output.h"
#include "registry/sleep.h"
#include "registry/use.h"

#include <pthread.h>

static const struct caller somewhere = {0x1000, 0}, elsewhere = {0x2000, 0};

static struct object *make(uintptr_t address)
{
    struct object *object = object_new();
    assert_non_null(object);
    object->address = address;
    atomic_store(&object->state, OBJECT_LIVE);
    return object;
}

static void touches_are_counted(void **state)
{
    (void)state;
    struct object *object = make(0x10000);
    struct use uses[OBJECT_USES];
    assert_int_equal(use_users(object, uses, OBJECT_USES), 0);
    for (int i = 0; i < 3; i++)
        use_note(object, i == 0 ? USE_LOCK : USE_MEMORY, "touch", i == 0 ? somewhere : elsewhere);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 1);
    assert_int_equal(uses[0].thread, guard.thread->reference);
    assert_int_equal(uses[0].count, 3);
    assert_int_equal(uses[0].sources, 1 << USE_LOCK | 1 << USE_MEMORY);
    assert_true(uses[0].last_ticks > uses[0].first_ticks);
    assert_int_equal(uses[0].caller, elsewhere.address);
}

static void record_that_is_reused_has_no_users(void **state)
{
    (void)state;
    struct object *object = make(0x20000);
    struct use uses[OBJECT_USES];
    use_note(object, USE_LOCK, "touch", somewhere);
    object->address = 0x30000;
    assert_int_equal(use_users(object, uses, OBJECT_USES), 0);
    use_note(object, USE_MEMORY, "touch", somewhere);
    assert_int_equal(use_users(object, uses, OBJECT_USES), 1);
    assert_int_equal(uses[0].count, 1);
    assert_int_equal(uses[0].sources, 1 << USE_MEMORY);
}

struct worker {
    struct thread *record;
    struct object *object;
    bool stays;
};

static pthread_barrier_t touched, leave;

static void *touch_it(void *opaque)
{
    struct worker *worker = opaque;
    thread_begin(worker->record);
    use_note(worker->object, USE_LOCK, "touch", somewhere);
    pthread_barrier_wait(&touched);
    if (worker->stays)
        pthread_barrier_wait(&leave);
    thread_end(false);
    return NULL;
}

static pthread_t start(struct worker *worker)
{
    pthread_t handle;
    worker->record = thread_create(NULL, NULL, 0, THREAD_CREATED);
    assert_non_null(worker->record);
    assert_int_equal(pthread_create(&handle, NULL, touch_it, worker), 0);
    pthread_barrier_wait(&touched);
    return handle;
}

static bool is_user(const struct object *object, thread_reference thread)
{
    struct use uses[OBJECT_USES];
    size_t count = use_users(object, uses, OBJECT_USES);
    for (size_t i = 0; i < count; i++)
        if (uses[i].thread == thread)
            return true;
    return false;
}

static void who_ended_leaves_first(void **state)
{
    (void)state;
    enum { MORE = 2, WORKERS = OBJECT_USES + MORE, ENDED = 3 };
    struct object *object = make(0x40000);
    struct worker workers[WORKERS];
    pthread_t handles[WORKERS];
    pthread_barrier_init(&touched, NULL, 2);
    pthread_barrier_init(&leave, NULL, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.object = object, .stays = i != ENDED};
        handles[i] = start(&workers[i]);
        if (i == ENDED)
            pthread_join(handles[i], NULL);
    }
    /* The first to leave was the one that had ended, and then the first that had come. */
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(is_user(object, workers[i].record->reference), i != ENDED && i != 0);
    uint32_t numbers[2];
    assert_int_equal(use_objects(workers[1].record->reference, numbers, 2), 1);
    assert_int_equal(numbers[0], object->number);
    assert_int_equal(use_objects(workers[0].record->reference, numbers, 2), 0);
    pthread_barrier_wait(&leave);
    for (int i = 0; i < WORKERS; i++)
        if (i != ENDED)
            pthread_join(handles[i], NULL);
}

/* What the hook of a call like sleep() does. */
static __attribute__((noinline)) uint32_t pause_here(void)
{
    sleep_note(guard.block, (uintptr_t)__builtin_frame_address(0));
    guard.block->sleep.count++;
    sleep_timed_out(&guard.block->sleep, (uintptr_t)__builtin_frame_address(0));
    return sleep_place(guard.block->sleep.address, guard.block->sleep.slot);
}

static void rhythm_is_of_pauses_between_touches(void **state)
{
    (void)state;
    struct object *object = make(0x50000);
    struct use_rhythm rhythm;
    thread_reference self = guard.thread->reference;
    uint32_t place = pause_here(); /* before the first touch: none of its */
    use_note(object, USE_LOCK, "touch", somewhere);
    use_note(object, USE_LOCK, "touch", elsewhere);
    assert_true(use_rhythm_of(object, self, &rhythm));
    assert_int_equal(rhythm.rounds, 0);
    assert_false(use_rhythm_has(&rhythm, place));
    for (uint32_t round = 1; round <= 3; round++) {
        for (uint32_t pauses = 0; pauses < round; pauses++)
            place = pause_here();
        assert_true(use_note_again((const void *)object->address, USE_LOCK, elsewhere));
        assert_true(use_rhythm_of(object, self, &rhythm));
        assert_int_equal(rhythm.rounds, round);
        assert_int_equal(rhythm.gap, round);
        assert_int_equal(rhythm.waits, guard.block->sleep.count);
        assert_true(use_rhythm_has(&rhythm, place));
    }
    assert_false(use_rhythm_has(&rhythm, place + 2));
    assert_false(use_note_again((const void *)0x60000, USE_LOCK, elsewhere));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touches_are_counted),
        cmocka_unit_test(record_that_is_reused_has_no_users),
        cmocka_unit_test(who_ended_leaves_first),
        cmocka_unit_test(rhythm_is_of_pauses_between_touches),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    clock_start();
    if (!thread_start() || !object_start() || !use_start())
        return 1;
    guard_active = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
