/* Tests of entry patching, on functions in assembler: what is refused, and that what is patched
 * still does the same. */
#include "unit.h"

#include "test_patch.h"

#include "base/options.h"
#include "base/output.h"
#include "base/system.h"
#include "patch/patch.h"
#include "patch/quick.h"
#include "patch/relocate.h"
#include "patch/trampoline.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* linux/prctl.h */
#endif

uint64_t hook_counts[HOOKS], hook_originals[HOOKS];

__asm__(".pushsection .text\n"
        "hook_count:\n"
        "push %rax\n"
        "lea -8(%rsp), %rsp\n" /* %r11 */
        "push %rcx\n"
        "lea hook_counts(%rip), %rax\n"
        "mov (%rax,%r11,8), %rcx\n"
        "lea 1(%rcx), %rcx\n"
        "mov %rcx, (%rax,%r11,8)\n"
        "lea hook_originals(%rip), %rax\n"
        "mov (%rax,%r11,8), %r11\n"
        "pop %rcx\n"
        "lea 8(%rsp), %rsp\n"
        "pop %rax\n"
        "jmp *%r11\n"
        ".popsection\n");

static uint32_t hooks;

static struct patch patch_of(const unsigned char *start, const unsigned char *end)
{
    return (struct patch){.function = (uintptr_t)start,
                          .size = (size_t)(end - start),
                          .hook = (uintptr_t)hook_count,
                          .number = hooks++ % HOOKS};
}
#define PATCH(name) patch_of(name, name##_end)

/* May be called before the patches are installed, with any number of refused ones. */
static void learn_originals(const struct patch *patches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hook_originals[patches[i].number] = patches[i].original;
        hook_counts[patches[i].number] = 0;
    }
}

static enum patch_refusal refusal_of(struct patch patch)
{
    patch_prepare(&patch, 1);
    assert_true((patch.refusal == PATCH_FINE) == (patch.original != 0));
    return patch.refusal;
}
#define REFUSAL(name) refusal_of(PATCH(name))

static uint64_t call(uintptr_t address, uint64_t first, uint64_t second, uint64_t fourth)
{
    function called;
    memcpy(&called, &address, sizeof called);
    return called(first, second, 3, fourth);
}

/* The same results from the untouched function, from its trampoline, and from the patched one. */
static struct patch check_same(struct patch patch)
{
    static const uint64_t firsts[] = {0, 1, 2, 3, 7};
    static const uint64_t fourths[] = {0, 1, 5};
    uint64_t results[5][3];
    uint64_t calls = 0;
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 3; k++)
            results[i][k] = call(patch.function, firsts[i], 10, fourths[k]);
    patch_prepare(&patch, 1);
    assert_int_equal(patch.refusal, PATCH_FINE);
    learn_originals(&patch, 1);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(call(patch.original, firsts[i], 10, fourths[k]), results[i][k]);
    assert_true(patch_install(&patch, 1));
    assert_int_equal(patch.refusal, PATCH_FINE);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 3; k++, calls++)
            assert_int_equal(call(patch.function, firsts[i], 10, fourths[k]), results[i][k]);
    assert_int_equal(hook_counts[patch.number], calls);
    return patch;
}
#define CHECK_SAME(name) check_same(PATCH(name))

ASSEMBLE(before_start, 4, "mov %rdi, %rax\n add $1, %rax\n ret")

static void needs_the_decoder(void **state)
{
    (void)state;
    assert_int_equal(REFUSAL(before_start), PATCH_NO_DECODER);
    assert_int_equal(patch_judge(before_start, 8, 8, 0), PATCH_NO_DECODER);
    assert_true(patch_start());
    assert_true(patch_start());
    assert_int_equal(REFUSAL(before_start), PATCH_FINE);
    patch_prepare(NULL, 0);
    assert_true(patch_install(NULL, 0));
}

/* What can be patched. */
ASSEMBLE(plain, 4, "push %rbx\n mov %rdi, %rbx\n lea 1(%rbx,%rsi), %rax\n pop %rbx\n ret")
ASSEMBLE(with_endbr, 4, "endbr64\n mov %rdi, %rax\n add %rsi, %rax\n ret")
ASSEMBLE(unaligned, 4, "nop\n ret\n unaligned_inner: mov %rdi, %rax\n imul %rsi, %rax\n ret")
extern const unsigned char unaligned_inner[];

static void patches_plain_functions(void **state)
{
    (void)state;
    struct patch patch = CHECK_SAME(plain);
    assert_int_equal(plain[0], 0xe9);
    (void)check_same(patch_of(unaligned_inner, unaligned_end));
    patch = CHECK_SAME(with_endbr);
    assert_memory_equal(with_endbr, relocate_endbr, ENDBR_SIZE);
    assert_int_equal(with_endbr[ENDBR_SIZE], 0xe9);
    function entry;
    memcpy(&entry, &patch.original, sizeof entry);
    assert_memory_equal((const void *)patch.original, relocate_endbr, ENDBR_SIZE);
}

__attribute__((used)) static uint64_t number = 7, numbers[4] = {1, 2, 3, 4};
ASSEMBLE(rip_load, 4, "mov number(%rip), %rax\n add %rdi, %rax\n ret")
ASSEMBLE(rip_immediate, 4, "cmpl $7, number(%rip)\n sete %al\n movzbl %al, %eax\n ret")
ASSEMBLE(rip_byte_immediate, 4, "testb $1, number(%rip)\n setne %al\n movzbl %al, %eax\n ret")
ASSEMBLE(rip_word_immediate, 4, "cmpw $0x107, number(%rip)\n setb %al\n movzbl %al, %eax\n ret")
ASSEMBLE(rip_multiply, 4, "imul $1000, number(%rip), %rax\n ret")
ASSEMBLE(rip_vector, 4, "pshufd $0xe4, numbers(%rip), %xmm0\n movq %xmm0, %rax\n ret")
ASSEMBLE(rip_address, 4, "lea numbers(%rip), %rax\n mov 8(%rax), %rax\n ret")
ASSEMBLE(rip_three_bytes, 4, "palignr $8, numbers(%rip), %xmm0\n movq %xmm0, %rax\n ret")
ASSEMBLE(rip_second, 4, "mov %edi, %eax\n add number(%rip), %rax\n ret")

static void relocates_rip_relative_operands(void **state)
{
    (void)state;
    CHECK_SAME(rip_load);
    CHECK_SAME(rip_immediate);
    CHECK_SAME(rip_byte_immediate);
    CHECK_SAME(rip_word_immediate);
    CHECK_SAME(rip_multiply);
    CHECK_SAME(rip_vector);
    CHECK_SAME(rip_address);
    CHECK_SAME(rip_three_bytes);
    CHECK_SAME(rip_second);
}

ASSEMBLE(short_branch, 4, "test %edi, %edi\n je 1f\n mov $1, %eax\n ret\n 1: mov $2, %eax\n ret")
ASSEMBLE(hinted_branch, 4,
         "test %edi, %edi\n .byte 0x3e\n je 1f\n mov $1, %eax\n ret\n 1: mov $2, %eax\n ret")
ASSEMBLE(parity_branch, 4, "test %edi, %edi\n jnp 1f\n mov $1, %eax\n ret\n 1: mov $2, %eax\n ret")
ASSEMBLE(near_branch, 4,
         "test %edi, %edi\n je 1f\n mov $1, %eax\n ret\n .skip 200, 0x90\n 1: mov $2, %eax\n ret")
ASSEMBLE(two_branches, 4,
         "jrcxz 1f\n jrcxz 1f\n jmp 2f\n .skip 5, 0x90\n"
         "1: mov $1, %eax\n ret\n 2: mov $2, %eax\n ret")
ASSEMBLE(counts_down, 4, "mov %esi, %eax\n loop 1f\n mov $1, %eax\n ret\n 1: mov %ecx, %eax\n ret")
ASSEMBLE(counts_equal, 4, "cmp $2, %edi\n loope 1f\n mov $1, %eax\n ret\n 1: mov %ecx, %eax\n ret")
ASSEMBLE(counts_unequal, 4,
         "cmp $2, %edi\n loopne 1f\n mov $1, %eax\n ret\n 1: mov %ecx, %eax\n ret")
ASSEMBLE(narrow_count, 4, "jecxz 1f\n mov %edi, %eax\n ret\n 1: mov %ecx, %eax\n ret")
ASSEMBLE(jumps_away, 4, "mov %edi, %eax\n jmp 1f\n .skip 20, 0xcc\n 1: add $5, %eax\n ret")
ASSEMBLE(inner_loop, 4,
         "mov %edi, %eax\n mov $3, %edx\n 1: add %esi, %eax\n dec %edx\n jnz 1b\n ret")

static void relocates_branches(void **state)
{
    (void)state;
    CHECK_SAME(short_branch);
    CHECK_SAME(hinted_branch);
    CHECK_SAME(parity_branch);
    CHECK_SAME(near_branch);
    CHECK_SAME(two_branches);
    CHECK_SAME(counts_down);
    CHECK_SAME(counts_equal);
    CHECK_SAME(counts_unequal);
    CHECK_SAME(narrow_count);
    CHECK_SAME(jumps_away);
    CHECK_SAME(inner_loop);
}

ASSEMBLE(callee, 4, "lea 100(%rdi), %rax\n ret")
__attribute__((used)) static const void *const pointer = callee, *const table[2] = {NULL, callee};
ASSEMBLE(call_first, 4, "call callee\n inc %rax\n ret")
ASSEMBLE(call_last, 4, "sub $8, %rsp\n call callee\n add $8, %rsp\n ret")
ASSEMBLE(call_pointer, 4, "sub $8, %rsp\n call *pointer(%rip)\n add $8, %rsp\n ret")
ASSEMBLE(call_register, 4, "lea callee(%rip), %r9\n mov %rdi, %rdx\n call *%r9\n inc %rax\n ret")
ASSEMBLE(call_register_last, 4, "mov pointer(%rip), %r9\n jmp call_r9\n")
ASSEMBLE(call_r9, 4, "push %rdi\n push %rsi\n call *%r9\n pop %rsi\n pop %rdi\n ret")
ASSEMBLE(call_memory, 4, "jmp 1f\n .skip 14, 0xcc\n 1: lea table(%rip), %rax\n jmp call_rax")
ASSEMBLE(call_rax, 4, "push %rax\n push %rax\n push %rax\n call *8(%rax)\n add $24, %rsp\n ret")
ASSEMBLE(call_stack, 4, "push pointer(%rip)\n jmp call_rsp")
ASSEMBLE(call_rsp, 4, "push %rdi\n push %rsi\n call *16(%rsp)\n add $24, %rsp\n ret")
ASSEMBLE(next_address, 4,
         "call 1f\n 1: pop %rax\n lea next_address(%rip), %rdx\n sub %rdx, %rax\n ret")

static void relocates_calls(void **state)
{
    (void)state;
    CHECK_SAME(call_first);
    CHECK_SAME(call_last);
    CHECK_SAME(call_pointer);
    CHECK_SAME(call_register);
    CHECK_SAME(next_address);
    struct patch inner[] = {PATCH(call_r9), PATCH(call_rax), PATCH(call_rsp)};
    patch_prepare(inner, 3);
    learn_originals(inner, 3);
    assert_true(patch_install(inner, 3));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(inner[i].refusal, PATCH_FINE);
    CHECK_SAME(call_register_last);
    CHECK_SAME(call_memory);
    CHECK_SAME(call_stack);
    assert_int_equal(hook_counts[inner[0].number], 15 * 3);
    assert_int_equal(hook_counts[inner[1].number], 15 * 3);
    assert_int_equal(hook_counts[inner[2].number], 15 * 3);
}

ASSEMBLE(tail_call, 4, "jmp callee")
ASSEMBLE(tail_pointer, 4, "jmp *pointer(%rip)")
ASSEMBLE(short_with_gap, 4, "ret")
ASSEMBLE(gap_of_nops, 4, "mov %edi, %eax\n ret")
__asm__(".pushsection .text\n.nops 13\n.popsection\n");
ASSEMBLE(after_gap, 4, "mov $5, %eax\n ret")
ASSEMBLE(no_gap, 4, "mov %edi, %eax\n ret")
ASSEMBLE(next_function, 0, "mov $5, %eax\n ret")
ASSEMBLE(small_gap, 4, ".skip 12, 0x90\n small_gap_inner: mov %edi, %eax\n ret")
extern const unsigned char small_gap_inner[];

static void patches_small_functions(void **state)
{
    (void)state;
    CHECK_SAME(tail_call);
    CHECK_SAME(tail_pointer);
    struct patch patch = PATCH(short_with_gap);
    patch_prepare(&patch, 1);
    assert_int_equal(patch.refusal, PATCH_FINE);
    CHECK_SAME(gap_of_nops);
    assert_int_equal(call((uintptr_t)after_gap, 0, 0, 0), 5);
    assert_int_equal(REFUSAL(no_gap), PATCH_TOO_SHORT);
    assert_int_equal(refusal_of(patch_of(small_gap_inner, small_gap_end)), PATCH_TOO_SHORT);
}

/* A jump over the end of a page. */
ASSEMBLE(crosses, 12, ".skip 4093, 0xcc\n crosses_inner: mov $1234, %eax\n add %rdi, %rax\n ret")
ASSEMBLE(crosses_endbr, 12,
         ".skip 4090, 0xcc\n crosses_endbr_inner: endbr64\n mov $1234, %eax\n add %rdi, %rax\n ret")
ASSEMBLE(starts_page, 12, "mov $1234, %eax\n add %rdi, %rax\n ret")
extern const unsigned char crosses_inner[], crosses_endbr_inner[];

static void patches_over_page_boundaries(void **state)
{
    (void)state;
    struct patch patches[] = {PATCH(starts_page), patch_of(crosses_endbr_inner, crosses_endbr_end),
                              patch_of(crosses_inner, crosses_end)};
    assert_int_equal((uintptr_t)crosses_inner % 4096, 4093);
    patch_prepare(patches, 3); /* not in the order of addresses */
    learn_originals(patches, 3);
    assert_true(patch_install(patches, 3));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(patches[i].refusal, PATCH_FINE);
        assert_int_equal(call(patches[i].function, 1, 0, 0), 1235);
        assert_int_equal(hook_counts[patches[i].number], 1);
    }
}

/* What is refused. */
ASSEMBLE(undecoded, 4, "mov %edi, %eax\n .byte 0x06\n ret\n nop\n nop")
ASSEMBLE(undecoded_later, 4, "mov $1, %eax\n .byte 0x06\n ret")
ASSEMBLE(half_instruction, 4, "mov %edi, %eax\n .byte 0x48, 0x8b, 0x05")
ASSEMBLE(branch_inside, 4, "mov %edi, %eax\n 1: dec %eax\n jnz 1b\n ret")
ASSEMBLE(branch_to_entry, 4, "1: dec %rdi\n jnz 1b\n mov %edi, %eax\n ret")
ASSEMBLE(branch_to_endbr, 4, "1: endbr64\n dec %rdi\n jnz 1b\n mov %edi, %eax\n ret")
ASSEMBLE(branch_behind_endbr, 4, "endbr64\n 1: dec %rdi\n jnz 1b\n mov %edi, %eax\n ret")
ASSEMBLE(calls_itself, 4, "test %edi, %edi\n jz 1f\n dec %edi\n call calls_itself\n 1: ret")
ASSEMBLE(calls_inside, 4, "mov %edi, %eax\n 1: ret\n nop\n nop\n call 1b\n ret")
ASSEMBLE(label_inside, 4, "mov %edi, %eax\n 1: dec %eax\n lea 1b(%rip), %rax\n ret")
ASSEMBLE(call_inside, 4, "push %rbx\n call *%rax\n nop\n nop\n pop %rbx\n ret")
ASSEMBLE(transaction, 4, "xbegin 1f\n 1: ret")
ASSEMBLE(narrow_jump, 4, ".byte 0x66\n jmp 1f\n .skip 4, 0x90\n 1: ret")
ASSEMBLE(narrow_call, 4, ".byte 0x66\n call *%rax\n nop\n nop\n ret")
ASSEMBLE(narrow_address, 4, "mov number(%eip), %eax\n ret")
ASSEMBLE(breakpoint, 4, "int3\n mov %rdi, %rax\n add %rsi, %rax\n ret")
ASSEMBLE(breakpoint_second, 4, "push %rbx\n int3\n mov %rdi, %rax\n add %rsi, %rax\n ret")
ASSEMBLE(jump_far_away, 4, ".byte 0xe9\n .long 0x70000000\n")
ASSEMBLE(endbr_jump_far_away, 4, "endbr64\n .byte 0xe9\n .long 0x70000000\n")
ASSEMBLE(jump_next_pointer, 4, "jmp *0(%rip)\n .quad 0x123456789a\n ret")
ASSEMBLE(jump_register, 4, "movabs $0x123456789a, %rax\n jmp *%rax")
ASSEMBLE(jump_high_register, 4, "movabs $0x123456789a, %r11\n jmp *%r11")
ASSEMBLE(push_and_return, 4, "push $0x12345678\n movl $0x1234, 4(%rsp)\n ret")
ASSEMBLE(load_register, 4, "movabs $0x123456789a, %rax\n jmp *%rdx")
ASSEMBLE(invalid, 4, "ud2\n mov %eax, %eax\n mov %eax, %eax")
ASSEMBLE(asks_kernel, 4, "mov %edi, %eax\n syscall\n mov %eax, %eax\n ret")

static void tells_why(void **state)
{
    (void)state;
    assert_int_equal(REFUSAL(undecoded), PATCH_NOT_DECODED);
    assert_int_equal(REFUSAL(undecoded_later), PATCH_NOT_DECODED);
    assert_int_equal(REFUSAL(half_instruction), PATCH_NOT_DECODED);
    assert_int_equal(REFUSAL(branch_inside), PATCH_BRANCH_INSIDE);
    assert_int_equal(REFUSAL(branch_to_entry), PATCH_BRANCH_TO_ENTRY);
    assert_int_equal(REFUSAL(branch_to_endbr), PATCH_BRANCH_TO_ENTRY);
    assert_int_equal(REFUSAL(branch_behind_endbr), PATCH_BRANCH_TO_ENTRY);
    assert_int_equal(REFUSAL(calls_itself), PATCH_FINE);
    assert_int_equal(REFUSAL(calls_inside), PATCH_BRANCH_INSIDE);
    assert_int_equal(REFUSAL(label_inside), PATCH_BRANCH_INSIDE);
    assert_int_equal(REFUSAL(call_inside), PATCH_CALL_INSIDE);
    assert_int_equal(REFUSAL(transaction), PATCH_NOT_RELOCATED);
    assert_int_equal(REFUSAL(narrow_jump), PATCH_NOT_RELOCATED);
    assert_int_equal(REFUSAL(narrow_call), PATCH_NOT_RELOCATED);
    assert_int_equal(REFUSAL(narrow_address), PATCH_NOT_RELOCATED);
    assert_int_equal(REFUSAL(breakpoint), PATCH_TAKEN);
    assert_int_equal(REFUSAL(breakpoint_second), PATCH_TAKEN);
    assert_int_equal(REFUSAL(jump_far_away), PATCH_TAKEN);
    assert_int_equal(REFUSAL(endbr_jump_far_away), PATCH_TAKEN);
    assert_int_equal(REFUSAL(jump_next_pointer), PATCH_TAKEN);
    assert_int_equal(REFUSAL(jump_register), PATCH_TAKEN);
    assert_int_equal(REFUSAL(jump_high_register), PATCH_TAKEN);
    assert_int_equal(REFUSAL(push_and_return), PATCH_TAKEN);
    assert_int_equal(REFUSAL(load_register), PATCH_FINE);
    assert_int_equal(REFUSAL(invalid), PATCH_FINE);
    assert_int_equal(REFUSAL(asks_kernel), PATCH_FINE);
    assert_int_equal(refusal_of(patch_of(plain, plain)), PATCH_TOO_SHORT);
    assert_int_equal(refusal_of((struct patch){.function = 64, .size = 64}), PATCH_FORBIDDEN);
    assert_int_equal(refusal_of((struct patch){.function = (uintptr_t)&number, .size = 64}),
                     PATCH_FORBIDDEN); /* data */
    for (int i = 0; i < PATCH_REFUSALS; i++)
        assert_true(strlen(patch_refusal_text((enum patch_refusal)i)) > 0);
}

static void judges_without_a_process(void **state)
{
    (void)state;
    unsigned char bytes[64];
    memset(bytes, 0x90, sizeof bytes);
    memcpy(bytes, branch_inside, 8);
    assert_int_equal(patch_judge(bytes, 8, 8, 0x1000), PATCH_BRANCH_INSIDE);
    memcpy(bytes, tail_call, 5); /* patched by now: any jump may be a tail call's */
    assert_int_equal(patch_judge(bytes, 5, 5, 0x1000), PATCH_FINE);
    assert_int_equal(patch_judge(bytes, 4, 4, 0x1000), PATCH_TOO_SHORT);
    assert_int_equal(patch_judge(bytes, 0, 0, 0x1000), PATCH_TOO_SHORT);
    memcpy(bytes, with_endbr, ENDBR_SIZE);
    assert_int_equal(patch_judge(bytes, 4, 4, 0x1000), PATCH_TOO_SHORT);
    memset(bytes, 0x90, 16);
    bytes[0] = 0xc3;
    assert_int_equal(patch_judge(bytes, 1, 1, 0x1000), PATCH_TOO_SHORT);
    assert_int_equal(patch_judge(bytes, 1, 16, 0x1000), PATCH_FINE); /* the gap behind it */
}

static void refuses_operands_out_of_reach(void **state)
{
    (void)state;
    static const unsigned char load[] = {0x48, 0x8b, 0x05, 0, 0, 0, 0x10, 0xc3};
    const struct code code = {load, sizeof load, sizeof load, UINT64_C(0x500000000000)};
    struct displaced displaced;
    struct relocated relocated;
    assert_int_equal(relocate_find(&displaced, &code), PATCH_FINE);
    uint64_t near = code.address - 0x10000000, far = code.address - UINT64_C(0x78000000);
    assert_int_equal(relocate(&relocated, &displaced, &code, near, near), PATCH_FINE);
    assert_int_equal(relocate(&relocated, &displaced, &code, far, far), PATCH_NOT_RELOCATED);
    unsigned char jump[JUMP_SIZE];
    assert_true(relocate_jump(jump, 0x1000, 0x1000 + 0x80000004u));
    assert_false(relocate_jump(jump, 0x1000, 0x1000 + 0x80000005u));
}

/* Switches. */
#define SWITCH(name, prologue, first)                                                              \
    ASSEMBLE(name, 4,                                                                              \
             "0: " prologue "\n 1: mov %edi, %eax\n and $1, %eax\n"                                \
             "lea 5f(%rip), %rdx\n movslq (%rdx,%rax,4), %rax\n add %rdx, %rax\n jmp *%rax\n"      \
             "2: mov $20, %eax\n ret\n 3: mov $30, %eax\n ret\n"                                   \
             ".pushsection .rodata\n .p2align 2\n 5: .long 2b - 5b\n .long " first " - 5b\n"       \
             ".long 0\n .popsection")
SWITCH(switches, "nop\n nop\n nop", "3b")
SWITCH(switches_inside, "nop\n nop\n nop", "1b")
SWITCH(switches_behind, "mov %edi, %esi\n mov %esi, %edi\n nop", "1b")
SWITCH(switches_to_entry, "nop\n nop\n nop", "0b")
ASSEMBLE(goes_to_label, 4,
         "nop\n nop\n 1: mov %rdi, %rax\n and $1, %eax\n lea 5f(%rip), %rdx\n jmp *(%rdx,%rax,8)\n"
         "2: mov $20, %eax\n ret\n"
         ".pushsection .data.rel.ro,\"aw\"\n .p2align 3\n 5: .quad 2b\n .quad 1b\n .popsection")
ASSEMBLE(names_itself, 4, /* as a destructor does that sets its virtual table */
         "lea 5f(%rip), %rdx\n mov 8(%rdx), %rdx\n jmp *%rdx\n"
         ".pushsection .data.rel.ro,\"aw\"\n .p2align 3\n"
         "5: .quad names_itself\n .quad callee\n .popsection")

static void looks_at_jump_tables(void **state)
{
    (void)state;
    CHECK_SAME(switches);
    CHECK_SAME(names_itself);
    assert_int_equal(REFUSAL(switches_inside), PATCH_BRANCH_INSIDE);
    assert_int_equal(REFUSAL(switches_behind), PATCH_FINE);
    assert_int_equal(REFUSAL(switches_to_entry), PATCH_BRANCH_TO_ENTRY);
    assert_int_equal(REFUSAL(goes_to_label), PATCH_BRANCH_INSIDE);
}

ASSEMBLE(shared_tail, 4, "mov %rdi, %rax\n inside_shared_tail: add %rsi, %rax\n ret")
ASSEMBLE(joins_tail, 4, "mov $1, %eax\n jmp inside_shared_tail")

ASSEMBLE(two_entries, 4, "mov %rdi, %rax\n second_entry: add %rsi, %rax\n ret")
extern const unsigned char second_entry[];

static void looks_at_branches_from_others(void **state)
{
    (void)state;
    struct patch entries[] = {PATCH(two_entries), patch_of(second_entry, two_entries_end)};
    patch_prepare(entries, 2);
    assert_int_equal(entries[0].refusal, PATCH_BRANCH_INSIDE);
    assert_int_equal(entries[1].refusal, PATCH_TOO_SHORT);
    struct patch patches[] = {PATCH(joins_tail), PATCH(shared_tail)};
    patch_prepare(patches, 2);
    assert_int_equal(patches[0].refusal, PATCH_FINE);
    assert_int_equal(patches[1].refusal, PATCH_BRANCH_INSIDE);
    assert_int_equal(patches[1].original, 0);
}

ASSEMBLE(taken_since, 4, "mov $1, %eax\n ret")
ASSEMBLE(twice, 4, "mov $1, %eax\n ret")

static void leaves_what_changed(void **state)
{
    (void)state;
    struct patch first = PATCH(taken_since), second = PATCH(taken_since), same = PATCH(twice);
    patch_prepare(&first, 1);
    patch_prepare(&second, 1);
    learn_originals(&second, 1);
    assert_true(patch_install(&second, 1));
    assert_true(patch_install(&first, 1));
    assert_int_equal(first.refusal, PATCH_TAKEN);
    assert_int_equal(call((uintptr_t)taken_since, 0, 0, 0), 1);
    assert_int_equal(hook_counts[second.number], 1);
    assert_int_equal(REFUSAL(taken_since), PATCH_TAKEN); /* our own jump */
    patch_prepare(&same, 1);
    learn_originals(&same, 1);
    assert_true(patch_install(&same, 1));
    assert_true(patch_install(&same, 1));
    assert_int_equal(same.refusal, PATCH_FINE);
    assert_int_equal(call((uintptr_t)twice, 0, 0, 0), 1);
}

ASSEMBLE(sourced, 4, "push %rbx\n mov %rdi, %rbx\n call 1f\n pop %rbx\n 1: ret")

static void knows_the_source(void **state)
{
    (void)state;
    struct patch patch = PATCH(sourced);
    patch_prepare(&patch, 1);
    assert_int_equal(patch.refusal, PATCH_FINE);
    const struct trampoline *trampoline = trampoline_of(patch.original);
    uintptr_t at = patch.original, start = patch.function, enter = (uintptr_t)trampoline->enter;
    uintptr_t moved = at + TRAMPOLINE_START;
    assert_int_equal(patch_source(enter), start);
    assert_int_equal(patch_source(enter + 6), start);
    assert_int_equal(patch_source(at), start);
    assert_int_equal(patch_source(at + ENDBR_SIZE), start);
    assert_int_equal(patch_source(moved), start);           /* push */
    assert_int_equal(patch_source(moved + 1), start + 1);   /* mov */
    assert_int_equal(patch_source(moved + 4), start + 4);   /* call: push of the return address */
    assert_int_equal(patch_source(moved + 10), start + 10); /* then the jump: its target */
    assert_int_equal(patch_source(moved + 15), moved + 15); /* the end */
    assert_int_equal(patch_source((uintptr_t)trampoline), (uintptr_t)trampoline);
    assert_int_equal(patch_source(start), start);
    assert_int_equal(patch_source(0), 0);
    assert_int_equal(patch_source(UINTPTR_MAX), UINTPTR_MAX);
}

/* Callers may know what a function leaves alone. */
ASSEMBLE(calls_and_keeps, 4,
         "mov $8, %r8d\n mov $9, %r9d\n mov $10, %r10d\n mov $11, %r11d\n mov $12, %ecx\n"
         "mov $13, %edx\n mov $14, %esi\n movd %esi, %xmm15\n stc\n call leaves_alone_kept\n"
         "add %r8, %rax\n add %r9, %rax\n add %r10, %rax\n add %r11, %rax\n add %rcx, %rax\n"
         "add %rdx, %rax\n add %rsi, %rax\n movq %xmm15, %rsi\n add %rsi, %rax\n ret")
ASSEMBLE(leaves_alone_kept, 4, "lea (%rdi), %rax\n adc $1, %rax\n ret")

static void keeps_registers_and_flags(void **state)
{
    (void)state;
    struct patch patch = PATCH(leaves_alone_kept);
    uint64_t before = call((uintptr_t)calls_and_keeps, 5, 0, 0);
    assert_int_equal(before, 5 + 2 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 14);
    patch_prepare(&patch, 1);
    learn_originals(&patch, 1);
    assert_true(patch_install(&patch, 1));
    assert_int_equal(call((uintptr_t)calls_and_keeps, 5, 0, 0), before);
    assert_int_equal(hook_counts[patch.number], 1);
}

/* Threads. */
ASSEMBLE(hot, 4, "mov $77, %eax\n ret")
ASSEMBLE(hot_endbr, 4, "endbr64\n mov $77, %eax\n ret")
ASSEMBLE(two_instructions, 4, "mov %rdi, %rax\n add %rsi, %rax\n ret")
static _Atomic bool stop;
static _Atomic uint64_t wrong, calls;

static void *call_continuously(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        wrong += call((uintptr_t)hot, 1, 2, 3) != 77 || call((uintptr_t)hot_endbr, 1, 2, 3) != 77;
        calls++;
    }
    return NULL;
}

static void installs_while_threads_run(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct patch patches[] = {PATCH(hot), PATCH(hot_endbr), PATCH(two_instructions)};
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_continuously, NULL), 0);
    while (atomic_load(&calls) < 1000)
        sched_yield();
    patch_prepare(patches, 3);
    learn_originals(patches, 3);
    assert_true(patch_install(patches, 3));
    assert_int_equal(patches[0].refusal, PATCH_FINE);
    assert_int_equal(patches[1].refusal, PATCH_FINE);
    assert_int_equal(patches[2].refusal, PATCH_THREADS);
    uint64_t now = atomic_load(&calls);
    while (atomic_load(&calls) < now + 1000)
        sched_yield();
    assert_true(hook_counts[patches[0].number] > 0);
    assert_true(hook_counts[patches[1].number] > 0);
    patches[2].unused = true; /* as the library's loader knows */
    patch_prepare(patches + 2, 1);
    learn_originals(patches + 2, 1);
    assert_true(patch_install(patches + 2, 1));
    assert_int_equal(patches[2].refusal, PATCH_FINE);
    /* Pages are replaced again and again, under the threads' feet. */
    for (int i = 0; i < 200; i++) {
        struct patch one = patches[0];
        unsigned char *at = (unsigned char *)((uintptr_t)hot & ~(uintptr_t)4095);
        void *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(copy, at, 4096);
        assert_int_equal(mprotect(copy, 4096, PROT_READ | PROT_EXEC), 0);
        assert_ptr_equal(mremap(copy, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at), at);
        assert_true(patch_install(&one, 1));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
}

ASSEMBLE(batch_a, 4, "mov %rdi, %rax\n add $1, %rax\n ret")
ASSEMBLE(batch_b, 4, "mov %rdi, %rax\n add $2, %rax\n ret")
ASSEMBLE(batch_c, 4, "mov %rdi, %rax\n add $3, %rax\n ret")
ASSEMBLE(batch_refused, 4, "int3\n ret")

static void installs_several_batches(void **state)
{
    (void)state;
    struct patch patches[] = {PATCH(batch_c), PATCH(batch_a), PATCH(batch_refused), PATCH(batch_b)};
    patch_prepare(patches, 3);
    learn_originals(patches, 3);
    assert_true(patch_install(patches, 3));
    patch_prepare(patches + 3, 1);
    learn_originals(patches + 3, 1);
    assert_true(patch_install(patches + 3, 1));
    assert_int_equal(patches[2].refusal, PATCH_TAKEN);
    assert_int_equal(call((uintptr_t)batch_a, 5, 0, 0), 6);
    assert_int_equal(call((uintptr_t)batch_b, 5, 0, 0), 7);
    assert_int_equal(call((uintptr_t)batch_c, 5, 0, 0), 8);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(hook_counts[patches[i].number], i != 2);
}

/* Runs in a child; its exit status is 0 when all went well. */
static int status_of(int (*child)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

ASSEMBLE(in_child, 4, "mov %rdi, %rax\n add $9, %rax\n ret")

static int patches_in_a_child(void)
{
    struct patch patch = PATCH(in_child);
    patch_prepare(&patch, 1);
    learn_originals(&patch, 1);
    return call((uintptr_t)batch_a, 5, 0, 0) != 6 || !patch_install(&patch, 1) ||
           call((uintptr_t)in_child, 1, 0, 0) != 10 || hook_counts[patch.number] != 1;
}

static void lives_through_fork(void **state)
{
    (void)state;
    patch_prepare_fork();
    patch_forked(false);
    assert_int_equal(status_of(patches_in_a_child), 0);
    assert_int_equal(call((uintptr_t)in_child, 1, 0, 0), 10);
    assert_int_not_equal(in_child[0], 0xe9);
}

ASSEMBLE(forbidden, 4, "mov %rdi, %rax\n add $9, %rax\n ret")
enum { SKIPPED = 77 };

static int forbidden_to_prepare(void)
{
    struct patch patch = PATCH(forbidden);
    if (prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0) /* Linux 6.3 */
        return SKIPPED;
    patch_prepare(&patch, 1);
    return patch.refusal != PATCH_FORBIDDEN || patch.original != 0 || !patch_install(&patch, 1) ||
           call((uintptr_t)forbidden, 1, 0, 0) != 10;
}

static int forbidden_to_install(void)
{
    struct patch patch = PATCH(forbidden);
    unsigned char before[8];
    memcpy(before, forbidden, sizeof before);
    patch_prepare(&patch, 1);
    if (patch.refusal != PATCH_FINE || prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0)
        return SKIPPED;
    return patch_install(&patch, 1) || patch.refusal != PATCH_FORBIDDEN ||
           memcmp(before, forbidden, sizeof before) != 0 ||
           call((uintptr_t)forbidden, 1, 0, 0) != 10;
}

static int refused_call(long number, bool prepared)
{
    struct patch patch = PATCH(forbidden);
    unsigned char before[8];
    memcpy(before, forbidden, sizeof before);
    if (prepared)
        patch_prepare(&patch, 1);
    system_refused[number / 64] |= UINT64_C(1) << number % 64;
    if (!prepared)
        patch_prepare(&patch, 1);
    bool installed = patch_install(&patch, 1);
    return (prepared && installed) || patch.refusal == PATCH_FINE ||
           memcmp(before, forbidden, sizeof before) != 0 ||
           call((uintptr_t)forbidden, 1, 0, 0) != 10;
}

static int no_mremap(void)
{
    return refused_call(SYS_mremap, true);
}

static int no_mprotect(void)
{
    return refused_call(SYS_mprotect, true) || refused_call(SYS_mprotect, false);
}

static int no_mmap(void)
{
    return refused_call(SYS_mmap, true) || refused_call(SYS_mmap, false);
}

static void says_when_it_is_forbidden(void **state)
{
    (void)state;
    int status = status_of(forbidden_to_prepare);
    if (status != SKIPPED) {
        assert_int_equal(status, 0);
        assert_int_equal(status_of(forbidden_to_install), 0);
    }
    assert_int_equal(status_of(no_mremap), 0);
    assert_int_equal(status_of(no_mprotect), 0);
    assert_int_equal(status_of(no_mmap), 0);
}

/* As many mappings as there may be, but for a few: what goes wrong half-way is undone. */
ASSEMBLE(first_of_two, 12, "mov %rdi, %rax\n add $9, %rax\n ret")
ASSEMBLE(second_of_two, 14, "mov %rdi, %rax\n add $9, %rax\n ret")

static long mappings_most(void)
{
    char text[32] = "";
    int file = open("/proc/sys/vm/max_map_count", O_RDONLY);
    if (file >= 0 && read(file, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(file);
    return strtol(text, NULL, 10);
}

static int few_mappings(void)
{
    struct patch patches[] = {PATCH(first_of_two), PATCH(second_of_two)};
    long most = mappings_most();
    size_t size = (size_t)most * 2 * 4096;
    int refused = 0, used = 1;
    if (most < 1000 || most > 100000)
        return SKIPPED;
    patch_prepare(patches, 2);
    learn_originals(patches, 2);
    char *many = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (many == MAP_FAILED || patches[0].refusal != PATCH_FINE || patches[1].refusal != PATCH_FINE)
        return 1;
    while (mprotect(many + (size_t)used * 4096, 4096, PROT_READ) == 0)
        used += 2;
    for (bool installed = false; !installed && used > 0;) {
        used -= 2;
        mprotect(many + (size_t)used * 4096, 4096, PROT_NONE);
        patches[0].refusal = patches[1].refusal = PATCH_FINE;
        installed = patch_install(patches, 2);
        refused += !installed;
        if ((first_of_two[0] == 0xe9) != installed || (second_of_two[0] == 0xe9) != installed ||
            (patches[0].refusal == PATCH_FORBIDDEN) == installed ||
            call((uintptr_t)first_of_two, 1, 0, 0) != 10 ||
            call((uintptr_t)second_of_two, 1, 0, 0) != 10)
            return 2;
    }
    return refused < 5; /* at several places */
}

static void undoes_what_fails(void **state)
{
    (void)state;
    int status = status_of(few_mappings);
    if (status != SKIPPED)
        assert_int_equal(status, 0);
}

/* Unwinding: from a callee of the original, through the function, and through a hook that called
 * it. */
ASSEMBLE(throws, 4,
         "sub $8, %rsp\n .cfi_def_cfa_offset 16\n call throw_number\n add $8, %rsp\n ret")
static uintptr_t original_throws;
static int hooked;

static int hook_in_c(void)
{
    int (*original)(void);
    memcpy(&original, &original_throws, sizeof original);
    hooked++;
    int result = original();
    hooked += 100; /* not reached */
    return result;
}

static void throws_through(const unsigned char *start, const unsigned char *end)
{
    struct patch patch = patch_of(start, end);
    int (*called)(void);
    patch.hook = (uintptr_t)hook_in_c;
    patch_prepare(&patch, 1);
    assert_int_equal(patch.refusal, PATCH_FINE);
    assert_true(patch_install(&patch, 1));
    original_throws = patch.original;
    hooked = 0;
    memcpy(&called, &patch.function, sizeof called);
    assert_int_equal(catch_through(called), 42);
    assert_int_equal(hooked, 1);
}

static void unwinds_through_hooks(void **state)
{
    (void)state;
    throws_through(throws, throws_end);
}

static void judges_random_bytes(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 100000; round++) {
        unsigned char bytes[40];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[i] = (unsigned char)random;
        }
        size_t size = random >> 32 & 31;
        unsigned char *exact = malloc(size + 1); /* for ASan */
        memcpy(exact, bytes, size);
        (void)patch_judge(exact, size, size, random);
        free(exact);
    }
}

static void decodes_as_zydis_does(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u, known = 0;
    for (int round = 0; round < 2000000; round++) {
        struct instruction quick = {0}, slow = {0};
        unsigned char bytes[16];
        for (int i = 0; i < 2; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            memcpy(bytes + (size_t)i * 8, &random, 8);
        }
        static const unsigned char prefixes[] = {0x66, 0xf2, 0xf3, 0x48};
        if ((round & 3) == 0)
            bytes[0] = prefixes[round >> 2 & 3];
        if ((round & 5) == 0)
            bytes[1] = 0x0f;
        if (!quick_decode(&quick, bytes))
            continue;
        known++;
        assert_true(decode_slowly(&slow, bytes, INSTRUCTION_MOST));
        assert_memory_equal(&quick, &slow, sizeof quick);
    }
    assert_true(known > 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_the_decoder),
        cmocka_unit_test(patches_plain_functions),
        cmocka_unit_test(relocates_rip_relative_operands),
        cmocka_unit_test(relocates_branches),
        cmocka_unit_test(relocates_calls),
        cmocka_unit_test(patches_small_functions),
        cmocka_unit_test(patches_over_page_boundaries),
        cmocka_unit_test(tells_why),
        cmocka_unit_test(judges_without_a_process),
        cmocka_unit_test(refuses_operands_out_of_reach),
        cmocka_unit_test(looks_at_jump_tables),
        cmocka_unit_test(looks_at_branches_from_others),
        cmocka_unit_test(leaves_what_changed),
        cmocka_unit_test(knows_the_source),
        cmocka_unit_test(keeps_registers_and_flags),
        cmocka_unit_test(decodes_as_zydis_does),
        cmocka_unit_test(installs_while_threads_run),
        cmocka_unit_test(installs_several_batches),
        cmocka_unit_test(lives_through_fork),
        cmocka_unit_test(says_when_it_is_forbidden),
        cmocka_unit_test(undoes_what_fails),
        cmocka_unit_test(unwinds_through_hooks),
        cmocka_unit_test(judges_random_bytes),
    };
    static struct options options;
    options_default(&options);
    output_start(&options, (char *[]){NULL});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
