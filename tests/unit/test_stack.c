/* Tests of stacks that pass through a trampoline: a fault in one is told, and unwound, as if at the
 * instruction in the patched function. */
#include "unit.h"

#include "test_patch.h"

#include "base/options.h"
#include "base/output.h"
#include "patch/patch.h"
#include "registry/stack.h"

/* test_stack_code.c */
extern const unsigned char *fault_start, *fault_end, *fault_returned;
extern void (*handler_calls)(const void *context);
void fault(void);
#define FAULT_AT 3 /* after push and xor */

/* Goes on at once; the patch's number is 0. */
static uintptr_t original __attribute__((used));
__asm__(".pushsection .text\n"
        "pass_on: jmp *original(%rip)\n"
        ".popsection\n");
extern const unsigned char pass_on[];

static struct stack from_context, from_handler;

static void capture(const void *context)
{
    stack_capture_context(&from_context, context);
    stack_capture(&from_handler, CALLER_HERE());
}

static void check_stacks(void)
{
    uint32_t at = 0;
    assert_true(from_context.first_is_exact);
    assert_true(from_context.count > 3);
    assert_int_equal(from_context.frames[0], (uintptr_t)fault_start + FAULT_AT);
    assert_int_equal(from_context.frames[1], (uintptr_t)fault_returned);
    while (at < from_handler.count && from_handler.frames[at] != from_context.frames[1])
        at++;
    assert_in_range(at, 2, from_handler.count - 1); /* the handler, its return, the function */
    uintptr_t interrupted = from_handler.frames[at - 1] - (uintptr_t)fault_start;
    assert_in_range(interrupted, FAULT_AT, FAULT_AT + 1);
    /* Up to the end alike. */
    assert_int_equal(from_handler.count - at, from_context.count - 1);
    for (uint32_t i = 0; at + i < from_handler.count; i++)
        assert_int_equal(from_handler.frames[at + i], from_context.frames[1 + i]);
}

static void unwinds_from_a_trampoline(void **state)
{
    (void)state;
    struct patch patch = {.function = (uintptr_t)fault_start,
                          .size = (size_t)(fault_end - fault_start),
                          .hook = (uintptr_t)pass_on};
    assert_true(stack_start());
    assert_true(patch_start());
    handler_calls = capture;
    fault();
    check_stacks();
    patch_prepare(&patch, 1);
    original = patch.original;
    assert_true(patch_install(&patch, 1));
    assert_int_equal(patch.refusal, PATCH_FINE);
    fault();
    check_stacks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unwinds_from_a_trampoline),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
