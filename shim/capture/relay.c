/* Relay: see relay.h. */
#include "capture/relay.h"

#include "capture/vector_state.h"

struct relay {
    uintptr_t hook;
    uint64_t returns;
};

struct relay relay_table[RELAYS] __attribute__((visibility("hidden")));

void relay_entry(void) __attribute__((visibility("hidden")));

uintptr_t relay_to(uint32_t number, uintptr_t hook, bool returns)
{
    vector_state_measure();
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
        "push %r11\n" VECTOR_STATE_SAVE "mov -32(%rbp), %rdx\n"
        "call *(%r11)\n"
        "stack_relay_return:\n"
        "mov -80(%rbp), %r11\n"
        "cmpq $0, 8(%r11)\n"
        "je 3f\n"
        "mov %rax, -16(%rbp)\n"
        "3:\n" VECTOR_STATE_RESTORE "lea -72(%rbp), %rsp\n"
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
