/* Stacks of finished threads: lent with the sizes that were asked for, dead in part and whole, kept
 * in number, handed on. */
#include "unit/unit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "registry/thread_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 64 * 1024, MOST = 3 };

/* The kernel reads a path from there, or tells that it cannot. */
static bool is_readable(uintptr_t address)
{
    return access((const char *)address, F_OK) == 0 || errno != EFAULT;
}

static struct thread_stack *lend(struct thread *thread, bool detached)
{
    memset(thread, 0, sizeof *thread);
    thread->detached = detached;
    thread->tid = 0x7fffffff; /* no thread of this process has it */
    struct thread_stack *stack = thread_stack_lend(thread, SIZE, 5000);
    assert_non_null(stack);
    assert_ptr_equal(thread->stack, stack);
    ((char *)stack->top)[-1] = 1;
    ((char *)stack->first)[0] = 1;
    return stack;
}

static void end(struct thread *thread)
{
    guard.thread = thread;
    thread_stack_ended();
    guard.thread = NULL;
}

static void sizes_are_as_asked(void **state)
{
    struct thread thread;
    struct thread_stack *stack = lend(&thread, false);
    (void)state;
    assert_int_equal(stack->top - stack->first, SIZE);
    assert_int_equal(stack->guard_size, 8192);
    assert_false(is_readable(stack->first - 1));
    assert_true(is_readable(stack->first));
    thread_stack_created(stack, false); /* pthread_create failed */
    assert_int_equal(atomic_load(&stack->state), THREAD_STACK_UNUSED);
    assert_null(thread_stack_lend(&thread, 100, 0));
    assert_null(thread_stack_lend(&thread, SIZE, SIZE_MAX - 10));
}

static void joined_dies_whole(void **state)
{
    struct thread thread;
    struct thread_stack copy, *stack = lend(&thread, false);
    (void)state;
    thread_stack_joined(stack, 0); /* by a third thread, before its creator is back */
    assert_true(is_readable(stack->first));
    thread_stack_created(stack, true);
    assert_false(is_readable(stack->first));
    assert_false(is_readable(stack->top - 1));
    assert_ptr_equal(thread_stack_find(stack->top - 1, &copy), stack);
    assert_null(thread_stack_find(stack->first - 1, &copy));
    assert_true(thread_stack_is_dead(stack->first));
    assert_false(thread_stack_reopen(stack)); /* its content is gone */
}

static void ended_dies_in_part(void **state)
{
    struct thread thread;
    struct thread_stack *stack = lend(&thread, false);
    (void)state;
    thread_stack_created(stack, true);
    stack->entered = stack->top - 5000;
    end(&thread);
    thread_stack_look();
    assert_int_equal(atomic_load(&thread_stacks_leaving), 0);
    assert_true(thread_stack_is_dead(stack->first));
    assert_false(thread_stack_is_dead(stack->top - 5000));
    assert_true(is_readable(stack->top - 5000));
    thread_stack_joined(stack, 0);
    assert_true(thread_stack_is_dead(stack->top - 1));
}

static void detached_waits_for_the_kernel(void **state)
{
    struct thread thread;
    struct thread_stack *stack = lend(&thread, true);
    (void)state;
    thread.tid = gettid(); /* which is still there */
    thread_stack_created(stack, true);
    end(&thread);
    thread_stack_look();
    assert_int_equal(atomic_load(&thread_stacks_leaving), 1);
    assert_true(is_readable(stack->first));
    stack->owner.tid = 0x7fffffff;
    thread_stack_look();
    assert_int_equal(atomic_load(&thread_stacks_leaving), 0);
    assert_true(thread_stack_is_dead(stack->first));
}

/* Three are dead from the tests before. */
static void oldest_is_handed_on(void **state)
{
    struct thread thread;
    struct thread_stack *oldest = NULL;
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct thread_stack *stack = lend(&thread, false);
        assert_true(oldest == NULL || stack->start != oldest->start);
        thread_stack_created(stack, true);
        thread_stack_joined(stack, 0);
        assert_true(thread_stack_is_dead(stack->first));
        oldest = stack;
    }
    struct thread_stack *other = thread_stack_lend(&thread, 2 * SIZE, 0);
    assert_non_null(other);
    thread_stack_created(other, true);
    thread_stack_joined(other, 0);
    assert_true(thread_stack_is_dead(oldest->first));
}

static void child_keeps_what_is_there(void **state)
{
    struct thread thread, next;
    struct thread_stack *stack = lend(&thread, false);
    (void)state;
    thread_stack_created(stack, true);
    thread_stack_prepare_fork();
    pid_t child = fork();
    thread_stack_forked(child == 0);
    if (child == 0) {
        bool kept = ((char *)stack->first)[0] == 1;
        _exit(kept && thread_stack_lend(&next, SIZE, 5000) == stack ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    thread_stack_stop();
    assert_null(thread_stack_lend(&next, SIZE, 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_as_asked),  cmocka_unit_test(joined_dies_whole),
        cmocka_unit_test(ended_dies_in_part),  cmocka_unit_test(detached_waits_for_the_kernel),
        cmocka_unit_test(oldest_is_handed_on), cmocka_unit_test(child_keeps_what_is_there),
    };
    clock_start();
    if (!thread_stack_start(MOST, false))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
