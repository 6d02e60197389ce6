/* Tests of who waits for whom, by notes that are checked, of handles of threads that have ended,
 * and of side threads. */
#include "unit.h"

#include "base/clock.h"
#include "base/output.h"
#include "base/system.h"
#include "registry/side_thread.h"
#include "registry/task.h"
#include "registry/wait.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static pthread_mutex_t locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static pthread_barrier_t both;

struct worker {
    struct thread *record;
    pthread_t handle;
    int first;
};

static struct caller here(void)
{
    return (struct caller){(uintptr_t)__builtin_return_address(0),
                           (uintptr_t)__builtin_frame_address(0)};
}

static void await_sleep(pid_t tid, const void *word)
{
    struct task_call call = {0};
    do
        sched_yield();
    while (task_state(tid, &call) != TASK_SLEEPS || call.arguments[0] != (uintptr_t)word);
}

/* Takes one mutex, and then waits for the other until its holder lets go. */
static void *lock_both(void *opaque)
{
    struct worker *worker = opaque;
    pthread_mutex_t *other = &locks[1 - worker->first];
    struct timespec end;
    thread_begin(worker->record);
    pthread_mutex_lock(&locks[worker->first]);
    pthread_barrier_wait(&both);
    struct thread_wait before,
        *wait = wait_begin(&before, WAIT_MUTEX, "pthread_mutex_lock", other, NULL, here());
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += worker->first == 0 ? 2 : 60;
    bool locked = pthread_mutex_timedlock(other, &end) == 0;
    wait_end(wait, &before);
    if (locked)
        pthread_mutex_unlock(other);
    pthread_mutex_unlock(&locks[worker->first]);
    thread_end(false);
    return NULL;
}

static void start(struct worker *worker, void *(*entry)(void *))
{
    worker->record = thread_create(NULL, NULL, 0, THREAD_CREATED);
    assert_non_null(worker->record);
    assert_int_equal(pthread_create(&worker->handle, NULL, entry, worker), 0);
    thread_set_handle(worker->record, worker->handle);
}

static void cycle_of_mutexes_is_found(void **state)
{
    (void)state;
    struct worker workers[2] = {{.first = 0}, {.first = 1}};
    struct waiting chain[4];
    thread_reference threads[4];
    size_t cycle;
    pthread_barrier_init(&both, NULL, 3);
    start(&workers[0], lock_both);
    start(&workers[1], lock_both);
    pthread_barrier_wait(&both);
    await_sleep(workers[0].record->tid, &locks[1]);
    await_sleep(workers[1].record->tid, &locks[0]);
    assert_int_equal(wait_chain(workers[0].record, chain, threads, 4, &cycle), 2);
    assert_int_equal(cycle, 0);
    assert_int_equal(threads[1], workers[1].record->reference);
    assert_int_equal(chain[0].holder, workers[1].record->reference);
    assert_int_equal(chain[0].lock, &locks[1]);
    /* One that waits for the two is no part of their cycle. */
    struct thread_wait before,
        *wait = wait_begin_join(&before, workers[0].handle, workers[0].record->reference, false,
                                "join", here());
    assert_non_null(wait);
    wait_end(wait, &before);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(workers[i].handle, NULL), 0);
    thread_join_ended(workers[0].record, true);
    thread_join_ended(workers[1].record, true);
}

static void note_left_behind_is_not_believed(void **state)
{
    (void)state;
    struct waiting waiting;
    struct thread_wait before,
        *wait = wait_begin(&before, WAIT_MUTEX, "pthread_mutex_lock", &locks[0], NULL, here());
    assert_non_null(wait);
    assert_false(wait_of(thread_current(), &waiting)); /* it runs */
    assert_int_equal(waiting.note.what, WAIT_NONE);
    wait_end(wait, &before);
}

static void last_signal_is_kept(void **state)
{
    (void)state;
    static pthread_cond_t condition;
    wait_note_signal(&condition); /* not asked for: nothing */
    wait_keeps_all = true;
    wait_note_signal(&condition);
    wait_keeps_all = false;
}

static void *end_at_once(void *opaque)
{
    struct worker *worker = opaque;
    thread_begin(worker->record);
    thread_end(false);
    return NULL;
}

static void handles_of_ended_threads_are_known(void **state)
{
    (void)state;
    struct worker worker = {0};
    struct thread copy;
    start(&worker, end_at_once);
    assert_ptr_equal(thread_of_handle(worker.handle), worker.record);
    thread_joining(worker.record, 0);
    assert_int_equal(pthread_join(worker.handle, NULL), 0);
    thread_join_ended(worker.record, true);
    assert_null(thread_of_handle(worker.handle));
    assert_true(thread_of_ended_handle(worker.handle, &copy));
    assert_true(copy.joined);
    assert_false(thread_of_ended_handle(pthread_self(), &copy));
    thread_created_unseen();
    assert_false(thread_of_ended_handle(worker.handle, &copy));
}

static _Atomic int side_tid;
static struct guard *_Atomic side_guard;

/* Nothing in it may need more of a thread than a side thread has: no sanitizer either. */
__attribute__((no_sanitize("address", "undefined"))) static void aside(void)
{
    atomic_store(&side_guard, &guard);
    atomic_store(&side_tid, (int)syscall(SYS_gettid));
}

static void side_thread_has_storage_of_its_own(void **state)
{
    (void)state;
    assert_true(side_thread_start(aside, "aside"));
    while (atomic_load(&side_tid) == 0)
        sched_yield();
    assert_ptr_not_equal(atomic_load(&side_guard), &guard);
    assert_int_not_equal(atomic_load(&side_tid), system_thread());
    while (task_is_alive(atomic_load(&side_tid)))
        sched_yield();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cycle_of_mutexes_is_found),
        cmocka_unit_test(note_left_behind_is_not_believed),
        cmocka_unit_test(last_signal_is_kept),
        cmocka_unit_test(handles_of_ended_threads_are_known),
        cmocka_unit_test(side_thread_has_storage_of_its_own),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    clock_start();
    if (!thread_start())
        return 1;
    guard_active = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
