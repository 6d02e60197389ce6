/* Filter hooks: the program is about to restrict its own system calls (seccomp(2)). The shim learns
 * which of its calls that would punish, leaves them out, and says once what it can no longer do. Of
 * other calls made by syscall() those are looked at that make a child which may share our memory.
 */
#include "capture/filters.h"
#include "capture/real.h"

#include "base/filter.h"
#include "base/output.h"
#include "base/owner.h"
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

/* A filter on its way into the kernel. What it refuses must be known before, since no call may come
 * in between; whether it came into force, only the kernel can say. */
struct attempt {
    bool noted, strict;
    struct filter_marks marks;
};

/* A child that shares our memory has its own filters; what is noted here is its parent's. */
static void begin(struct attempt *attempt, unsigned long mode, const void *program)
{
    *attempt = (struct attempt){.strict = mode == SECCOMP_MODE_STRICT};
    if ((mode != SECCOMP_MODE_FILTER && !attempt->strict) || owner_is_other() || !guard_enter())
        return;
    attempt->noted = true;
    if (attempt->strict) {
        /* It forbids even reading the time stamp counter (prctl(2), PR_SET_TSC). */
        output_tell_once("the program enters seccomp's strict mode: nothing is watched any more",
                         NULL);
        filter_note_strict(&attempt->marks);
        guard_active = false;
    } else {
        filter_note(program, &attempt->marks);
    }
    guard_leave();
}

static void conclude(const struct attempt *attempt, bool taken)
{
    if (!attempt->noted)
        return;
    if (!taken)
        filter_take_back(&attempt->marks);
    if (attempt->strict)
        guard_active = !taken;
    else if (taken && guard_enter()) {
        tell_losses();
        guard_leave();
    }
}

int filters_prctl(unsigned long mode, unsigned long program, unsigned long c, unsigned long d)
{
    struct attempt attempt;
    begin(&attempt, mode, (const void *)program);
    int result = real.prctl(PR_SET_SECCOMP, mode, program, c, d);
    conclude(&attempt, result == 0);
    return result;
}

/* syscall(SYS_seccomp, ...) */
long filters_seccomp(long number, unsigned operation, unsigned flags, const void *program)
    __attribute__((visibility("hidden")));

long filters_seccomp(long number, unsigned operation, unsigned flags, const void *program)
{
    struct attempt attempt = {0};
    real_need();
    if (operation == SECCOMP_SET_MODE_FILTER || operation == SECCOMP_SET_MODE_STRICT)
        begin(&attempt,
              operation == SECCOMP_SET_MODE_FILTER ? SECCOMP_MODE_FILTER : SECCOMP_MODE_STRICT,
              program);
    long result = real.syscall(number, operation, flags, program);
    /* With SECCOMP_FILTER_FLAG_TSYNC: the thread that could not; with ..._NEW_LISTENER: a
     * descriptor. */
    conclude(&attempt, result == 0 || (result > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC) == 0));
    return result;
}

/* syscall(SYS_read or SYS_write, ...): libunwind asks in this way, too, see stack_is_unwinder(). */
long filters_transfer(long number, long descriptor, void *buffer, size_t size)
    __attribute__((visibility("hidden")));

long filters_transfer(long number, long descriptor, void *buffer, size_t size)
{
    if (size == 1 && stack_is_unwinder((uintptr_t)__builtin_return_address(0))) {
        if (number == SYS_write)
            return stack_probe(buffer);
        errno = EAGAIN; /* its pipe is empty */
        return -1;
    }
    real_need();
    return real.syscall(number, descriptor, buffer, size);
}

/* For the code below. */
void *filters_syscall_next __attribute__((visibility("hidden")));
void *filters_before_syscall(long number, long flags) __attribute__((visibility("hidden")));

void *filters_before_syscall(long number, long flags)
{
    real_need();
    if (number == SYS_vfork || number == SYS_clone3 ||
        (number == SYS_clone && (flags & CLONE_THREAD) == 0))
        event_sharing_child();
    __builtin_memcpy(&filters_syscall_next, &real.syscall, sizeof filters_syscall_next);
    return filters_syscall_next;
}

/* A jump, not a call: some calls made this way (clone, vfork) return on another stack, or twice. */
_Static_assert(SYS_seccomp == 317 && SYS_clone == 56 && SYS_vfork == 58 && SYS_clone3 == 435 &&
                   SYS_read == 0 && SYS_write == 1,
               "as below");
__asm__(".pushsection .text\n"
        ".globl syscall\n"
        ".type syscall, @function\n"
        "syscall:\n"
        ".cfi_startproc\n"
        "cmp $317, %rdi\n"
        "je filters_seccomp\n"
        "cmp $2, %rdi\n"
        "jb filters_transfer\n"
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
