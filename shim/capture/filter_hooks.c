/* Filter hooks: the program is about to restrict its own system calls (seccomp(2)). The shim learns
 * which of its calls that would punish, leaves them out, and says once what it can no longer do. Of
 * other calls made by syscall() those are looked at that make a child which may share our memory.
 */
#include "capture/filters.h"
#include "capture/real.h"

#include "base/filter.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"
#include "event/descriptor.h"
#include "report/report.h"

#include <linux/seccomp.h>

/* unwinding: what libunwind asks of libc (1.6). */
static const int guarding[] = {SYS_mprotect, SYS_mmap, SYS_madvise, -1};
static const int unwinding[] = {SYS_rt_sigprocmask, SYS_mincore, SYS_pipe2, SYS_mmap,
                                SYS_munmap,         SYS_openat,  SYS_close, -1};
static const int naming[] = {SYS_socketpair, SYS_clone, SYS_openat, SYS_sendto, SYS_ppoll, -1};

static void tell_losses(void)
{
    static const char *const names[] = {"guarded objects", "stacks", "names in reports"};
    const bool lost[] = {filter_refuses(guarding), filter_refuses(unwinding),
                         filter_refuses(naming)};
    char list[128];
    struct text text = text_in(list, sizeof list);
    for (size_t i = 0; i < 3; i++)
        if (lost[i])
            text_format(&text, "%s%s", text.length == 0 ? "" : ", ", names[i]);
    if (lost[1])
        stack_stop();
    if (text.length == 0)
        return;
    output_tell_once(
        "the program's seccomp filter forbids calls of the shim, which goes on without "
        "them: no more of",
        list);
    report_add_off("what the program's seccomp filter forbids");
}

/* Words first: writing may be forbidden, too. */
static void note(const struct sock_fprog *program)
{
    if (!guard_active || program == NULL || !guard_enter())
        return;
    filter_note(program);
    tell_losses();
    guard_leave();
}

void filters_prctl(int option, unsigned long mode, const void *program)
{
    if (option != PR_SET_SECCOMP)
        return;
    if (mode == SECCOMP_MODE_FILTER) {
        note(program);
    } else if (mode == SECCOMP_MODE_STRICT && guard_active && guard_enter()) {
        /* It forbids even reading the time stamp counter (prctl(2), PR_SET_TSC). */
        output_tell_once("the program enters seccomp's strict mode: nothing is watched any more",
                         NULL);
        filter_note_strict();
        guard_active = false;
        guard_leave();
    }
}

/* For the code below. */
void *filters_syscall_next __attribute__((visibility("hidden")));
void *filters_before_syscall(long number, long operation, long flags, const void *program)
    __attribute__((visibility("hidden")));

void *filters_before_syscall(long number, long operation, long flags, const void *program)
{
    (void)flags;
    real_need();
    if (number == SYS_seccomp && operation == SECCOMP_SET_MODE_FILTER)
        note(program);
    else if (number == SYS_seccomp && operation == SECCOMP_SET_MODE_STRICT)
        filters_prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, NULL);
    else if (number == SYS_vfork || number == SYS_clone3 ||
             (number == SYS_clone && (operation & CLONE_THREAD) == 0))
        event_sharing_child();
    __builtin_memcpy(&filters_syscall_next, &real.syscall, sizeof filters_syscall_next);
    return filters_syscall_next;
}

/* A jump, not a call: some calls made this way (clone, vfork) return on another stack, or twice. */
_Static_assert(SYS_seccomp == 317 && SYS_clone == 56 && SYS_vfork == 58 && SYS_clone3 == 435,
               "as below");
__asm__(".pushsection .text\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        ".cfi_startproc\n"
        "cmp $317, %rdi\n"
        "je 1f\n"
        "cmp $56, %rdi\n"
        "je 1f\n"
        "cmp $58, %rdi\n"
        "je 1f\n"
        "cmp $435, %rdi\n"
        "je 1f\n"
        "mov filters_syscall_next(%rip), %rax\n"
        "test %rax, %rax\n"
        "je 1f\n"
        "jmp *%rax\n"
        "1: push %rdi\n"
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
        "call filters_before_syscall\n"
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
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size syscall, . - syscall\n"
        ".popsection\n");
