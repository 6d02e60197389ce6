/* Relay: see relay.h. */
#include "capture/relay.h"

#include <cpuid.h>

struct relay {
    uintptr_t hook;
    uint64_t returns;
};

struct relay relay_table[RELAYS] __attribute__((visibility("hidden")));

/* What XSAVE keeps here (Intel SDM volume 1, 13.1): the vector registers, and where these are wider
 * than SSE's their upper parts. 0: there is no XSAVE. */
#define STATE_VECTORS UINT32_C(0xe6) /* SSE, AVX, AVX-512 */
uint32_t relay_state_mask __attribute__((visibility("hidden")));
uint32_t relay_state_size __attribute__((visibility("hidden"))) = 512;

static void measure_state(void)
{
    uint32_t a, b, c, d, low, high;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0)
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    relay_state_size = 512 + 64;
    for (uint32_t component = 2; component < 8; component++)
        if ((low & STATE_VECTORS) >> component & 1 &&
            __get_cpuid_count(0xd, component, &a, &b, &c, &d) != 0 && a + b > relay_state_size)
            relay_state_size = a + b;
    relay_state_mask = low & STATE_VECTORS;
}

void relay_entry(void) __attribute__((visibility("hidden")));

uintptr_t relay_to(uint32_t number, uintptr_t hook, bool returns)
{
    if (relay_state_mask == 0)
        measure_state();
    relay_table[number] = (struct relay){hook, returns};
    return (uintptr_t)relay_entry;
}

__asm__(".pushsection .text\n"
        ".hidden relay_entry, stack_relay_return\n"
        ".globl relay_entry, stack_relay_return\n"
        ".type relay_entry, @function\n"
        ".p2align 4\n"
        "relay_entry:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\n"
        "mov %rsp, %rbp\n"
        ".cfi_def_cfa_register rbp\n"
        "lea -8(%rsp), %rsp\n" /* %r11 stands there: see patch/patch.h */
        "push %rax\n"
        "push %rcx\n"
        "push %rdx\n"
        "push %rsi\n"
        "push %rdi\n"
        "push %r8\n"
        "push %r9\n"
        "push %r10\n"
        "lea relay_table(%rip), %r10\n"
        "shl $4, %r11\n"
        "add %r10, %r11\n"
        "push %r11\n"
        "mov relay_state_size(%rip), %eax\n"
        "sub %rax, %rsp\n"
        "and $-64, %rsp\n"
        "mov relay_state_mask(%rip), %eax\n"
        "test %eax, %eax\n"
        "jz 1f\n"
        "xor %edx, %edx\n" /* the header: XSAVE writes half of it, XRSTOR wants the rest zero */
        "mov %rdx, 512(%rsp)\n"
        "mov %rdx, 520(%rsp)\n"
        "mov %rdx, 528(%rsp)\n"
        "mov %rdx, 536(%rsp)\n"
        "mov %rdx, 544(%rsp)\n"
        "mov %rdx, 552(%rsp)\n"
        "mov %rdx, 560(%rsp)\n"
        "mov %rdx, 568(%rsp)\n"
        "xsave (%rsp)\n"
        "jmp 2f\n"
        "1: fxsave (%rsp)\n"
        "2: mov -32(%rbp), %rdx\n"
        "call *(%r11)\n"
        "stack_relay_return:\n"
        "mov -80(%rbp), %r11\n"
        "cmpq $0, 8(%r11)\n"
        "je 3f\n"
        "mov %rax, -16(%rbp)\n"
        "3: mov relay_state_mask(%rip), %eax\n"
        "test %eax, %eax\n"
        "jz 4f\n"
        "xor %edx, %edx\n"
        "xrstor (%rsp)\n"
        "jmp 5f\n"
        "4: fxrstor (%rsp)\n"
        "5: lea -72(%rbp), %rsp\n"
        "pop %r10\n"
        "pop %r9\n"
        "pop %r8\n"
        "pop %rdi\n"
        "pop %rsi\n"
        "pop %rdx\n"
        "pop %rcx\n"
        "pop %rax\n"
        "pop %r11\n"
        "pop %rbp\n"
        ".cfi_def_cfa rsp, 8\n"
        ".cfi_restore rbp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size relay_entry, . - relay_entry\n"
        ".popsection\n");
