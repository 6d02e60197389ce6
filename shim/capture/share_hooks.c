/* Share hooks: calls that make a child which shares our memory but has descriptors of its own, or
 * may: vfork, and clone without a thread. From then on descriptor events ask which process they are
 * in. Jumps, not calls: a child must not return through a frame that its parent still needs. */
#include "capture/real.h"

#include "event/descriptor.h"

void *share_before_vfork(void) __attribute__((visibility("hidden")));
void *share_before_clone(long function, long stack, int flags)
    __attribute__((visibility("hidden")));

void *share_before_vfork(void)
{
    void *next;
    real_need();
    event_sharing_child();
    __builtin_memcpy(&next, &real.vfork, sizeof next);
    return next;
}

void *share_before_clone(long function, long stack, int flags)
{
    void *next;
    (void)function;
    (void)stack;
    real_need();
    if ((flags & CLONE_THREAD) == 0)
        event_sharing_child();
    __builtin_memcpy(&next, &real.clone, sizeof next);
    return next;
}

__asm__(".pushsection .text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        ".cfi_startproc\n"
        "sub $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "call share_before_vfork\n"
        "add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size vfork, . - vfork\n"
        ".globl clone\n"
        ".type clone, @function\n"
        "clone:\n"
        ".cfi_startproc\n"
        "push %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %rsi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %rdx\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %rcx\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %r8\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %r9\n"
        ".cfi_adjust_cfa_offset 8\n"
        "sub $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "call share_before_clone\n"
        "mov %rax, %r11\n"
        "add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %r9\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %r8\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rdx\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rsi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "xor %eax, %eax\n"
        "jmp *%r11\n"
        ".cfi_endproc\n"
        ".size clone, . - clone\n"
        ".popsection\n");
