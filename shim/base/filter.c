/* Filter: see filter.h. The interpreter follows the kernel's (net/core/filter.c,
 * bpf_check_classic; kernel/seccomp.c, seccomp_check_filter). */
#include "base/filter.h"

#include "base/probe.h"
#include "base/system.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

uint64_t system_refused[SYSTEM_CALLS / 64];
pid_t system_process_known;

/* Calls with arguments that filters look at, as the shim makes them; all others are tried with
 * zeros. */
static const struct {
    int number;
    uint64_t arguments[6];
} forms[] = {
    {SYS_mprotect, {0, 4096, PROT_NONE}},
    {SYS_mprotect, {0, 4096, PROT_READ | PROT_WRITE}},
    {SYS_mmap, {0, 4096, PROT_NONE, ANONYMOUS | MAP_FIXED, UINT64_MAX}},
    {SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, ANONYMOUS, UINT64_MAX}},
    {SYS_mincore, {0, 4096}},
    {SYS_madvise, {0, 4096, MADV_DONTNEED}},
    {SYS_madvise, {0, 4096, 102 /* MADV_GUARD_INSTALL */}},
    {SYS_madvise, {0, 4096, 23 /* MADV_POPULATE_WRITE */}},
    {SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_CLOEXEC}},
    {SYS_fcntl, {0, F_DUPFD_CLOEXEC, 10}},
    {SYS_fcntl, {0, F_GETFD}},
    {SYS_clone, {CLONE_VM | CLONE_VFORK}},
    {SYS_socketpair, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}},
    {SYS_futex, {0, FUTEX_WAIT_PRIVATE}},
    {SYS_futex, {0, FUTEX_WAKE_PRIVATE}},
    {SYS_write, {2}},
};

static uint32_t alu(uint16_t operation, uint32_t left, uint32_t right)
{
    switch (operation) {
    case BPF_ADD:
        return left + right;
    case BPF_SUB:
        return left - right;
    case BPF_MUL:
        return left * right;
    case BPF_DIV:
        return right == 0 ? 0 : left / right;
    case BPF_OR:
        return left | right;
    case BPF_AND:
        return left & right;
    case BPF_XOR:
        return left ^ right;
    case BPF_LSH:
        return right > 31 ? 0 : left << right;
    case BPF_RSH:
        return right > 31 ? 0 : left >> right;
    default:
        return 0 - left; /* BPF_NEG */
    }
}

static bool jumps(uint16_t operation, uint32_t left, uint32_t right)
{
    return operation == BPF_JEQ   ? left == right
           : operation == BPF_JGT ? left > right
           : operation == BPF_JGE ? left >= right
                                  : (left & right) != 0;
}

static uint32_t word_at(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word = 0;
    if (offset <= sizeof *data - sizeof word)
        __builtin_memcpy(&word, (const char *)data + offset, sizeof word);
    return word;
}

/* What the program returns; one that the kernel will not take ends somehow, too. */
static uint32_t run(const struct sock_fprog *program, const struct seccomp_data *data)
{
    uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {0};
    for (size_t at = 0; at < program->len; at++) {
        const struct sock_filter *step = &program->filter[at];
        uint32_t k = step->k, source = (step->code & BPF_X) != 0 ? x : k;
        uint16_t mode = step->code & 0xe0;
        uint32_t loaded = mode == BPF_IMM   ? k
                          : mode == BPF_MEM ? memory[k % BPF_MEMWORDS]
                          : mode == BPF_ABS ? word_at(data, k)
                                            : (uint32_t)sizeof *data; /* BPF_LEN */
        switch (BPF_CLASS(step->code)) {
        case BPF_LD:
            a = loaded;
            break;
        case BPF_LDX:
            x = loaded;
            break;
        case BPF_ST:
            memory[k % BPF_MEMWORDS] = a;
            break;
        case BPF_STX:
            memory[k % BPF_MEMWORDS] = x;
            break;
        case BPF_ALU:
            a = alu(BPF_OP(step->code), a, source);
            break;
        case BPF_JMP:
            at += BPF_OP(step->code) == BPF_JA           ? k
                  : jumps(BPF_OP(step->code), a, source) ? step->jt
                                                         : step->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(step->code) == BPF_A ? a : k;
        default: /* BPF_MISC */
            if ((step->code & BPF_TXA) != 0)
                a = x;
            else
                x = a;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

static bool lets_pass(const struct sock_fprog *program, int number, const uint64_t *arguments)
{
    struct seccomp_data data = {.nr = number,
                                .arch = AUDIT_ARCH_X86_64,
                                .instruction_pointer = (uint64_t)(uintptr_t)&lets_pass};
    __builtin_memcpy(data.args, arguments, sizeof data.args);
    uint32_t action = run(program, &data) & SECCOMP_RET_ACTION_FULL;
    return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG || action == SECCOMP_RET_ERRNO;
}

static void refuse(int number, struct filter_marks *marks)
{
    uint64_t bit = UINT64_C(1) << number % 64;
    if ((__atomic_fetch_or(&system_refused[number / 64], bit, __ATOMIC_RELAXED) & bit) == 0)
        marks->calls[number / 64] |= bit;
}

static bool can_read(const struct sock_fprog *program)
{
    uint64_t word;
    _Static_assert(sizeof *program == 2 * sizeof word && sizeof *program->filter == sizeof word,
                   "read word by word");
    if (!probe_word(program, &word) || !probe_word(&program->filter, &word))
        return false;
    for (size_t at = 0; at < program->len; at++)
        if (!probe_word(&program->filter[at], &word))
            return false;
    return true;
}

void filter_note(const struct sock_fprog *program, struct filter_marks *marks)
{
    static const uint64_t zeros[6];
    *marks = (struct filter_marks){0};
    if (!can_read(program))
        return;
    system_process_known = system_process();
    for (int number = 0; number < SYSTEM_CALLS; number++) {
        bool passes = true, tried = false;
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
            if (forms[i].number == number) {
                passes = passes && lets_pass(program, number, forms[i].arguments);
                tried = true;
            }
        if (!(tried ? passes : lets_pass(program, number, zeros)))
            refuse(number, marks);
    }
}

void filter_note_strict(struct filter_marks *marks)
{
    *marks = (struct filter_marks){0};
    system_process_known = system_process();
    for (int number = 0; number < SYSTEM_CALLS; number++)
        if (number != SYS_read && number != SYS_write && number != SYS_exit &&
            number != SYS_rt_sigreturn)
            refuse(number, marks);
}

void filter_take_back(const struct filter_marks *marks)
{
    for (size_t i = 0; i < sizeof marks->calls / sizeof *marks->calls; i++)
        __atomic_fetch_and(&system_refused[i], ~marks->calls[i], __ATOMIC_RELAXED);
}

bool filter_refuses(const int *calls)
{
    for (; *calls >= 0; calls++)
        if (system_is_refused(*calls))
            return true;
    return false;
}
