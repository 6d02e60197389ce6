/* Sandbox: see sandbox.h. */
#include "sandbox.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

unsigned char *sandbox_code, *sandbox_moved;

/* Layout as in FXSAVE (Intel SDM volume 1, 10.5.1): MXCSR at 24, registers at 160. */
unsigned char sandbox_vectors[512] __attribute__((aligned(16)));
uint64_t sandbox_registers[16], sandbox_flags, sandbox_entry, sandbox_host;
unsigned char sandbox_own_stack[64];
static volatile sig_atomic_t inside;
static struct sandbox_state *running;

void sandbox_enter(void);
void sandbox_end(void);
void sandbox_leave(void);

#define EACH(operation)                                                                            \
    operation(rax, 0) operation(rcx, 8) operation(rdx, 16) operation(rbx, 24) operation(rbp, 40)   \
        operation(rsi, 48) operation(rdi, 56) operation(r8, 64) operation(r9, 72)                  \
            operation(r10, 80) operation(r11, 88) operation(r12, 96) operation(r13, 104)           \
                operation(r14, 112) operation(r15, 120)
#define LOAD(name, offset) "mov sandbox_registers+" #offset "(%rip), %" #name "\n"
#define STORE(name, offset) "mov %" #name ", sandbox_registers+" #offset "(%rip)\n"

__asm__(".pushsection .text\n"
        "sandbox_enter:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, sandbox_host(%rip)\n"
        "fxrstor sandbox_vectors(%rip)\n"
        "pushq sandbox_flags(%rip)\n"
        "popfq\n" EACH(
            LOAD) "mov sandbox_registers+32(%rip), %rsp\n"
                  "jmp *sandbox_entry(%rip)\n"
                  "sandbox_end:\n"
                  "mov %rsp, sandbox_registers+32(%rip)\n" EACH(
                      STORE) "lea sandbox_own_stack+64(%rip), %rsp\n"
                             "pushfq\n"
                             "popq sandbox_flags(%rip)\n"
                             "fxsave sandbox_vectors(%rip)\n"
                             "sandbox_leave:\n"
                             "cld\n"
                             "fninit\n"
                             "mov sandbox_host(%rip), %rsp\n"
                             "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
                             "ret\n"
                             ".popsection\n");

static void stop(int number, siginfo_t *info, void *argument)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
    ucontext_t *context = argument;
    greg_t *registers = context->uc_mcontext.gregs;
    if (!inside) {
        signal(number, SIG_DFL);
        return;
    }
    for (int i = 0; i < 16; i++)
        sandbox_registers[i] = (uint64_t)registers[order[i]];
    sandbox_flags = (uint64_t)registers[REG_EFL] & ~UINT64_C(0x10000); /* resume flag */
    memcpy(sandbox_vectors + 160, context->uc_mcontext.fpregs->_xmm, 256);
    running->signal = number;
    running->stopped_at = (uint64_t)registers[REG_RIP];
    running->address = number == SIGSEGV ? (uint64_t)info->si_addr : 0;
    context->uc_mcontext.fpregs->mxcsr = 0x1f80;
    registers[REG_RIP] = (greg_t)sandbox_leave;
    registers[REG_EFL] = 0x202;
}

static void *map_fixed(uint64_t address, size_t size, int protection, int file, off_t offset)
{
    void *at = mmap((void *)address, size, protection,
                    MAP_FIXED_NOREPLACE | (file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
                    file, offset);
    if (at != (void *)address) {
        perror("mmap");
        exit(2);
    }
    return at;
}

void sandbox_start(void)
{
    static char stack[64 * 1024];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = stop, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    void (*end)(void) = sandbox_end;
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    int file = memfd_create("sandbox", 0);
    if (file < 0 || ftruncate(file, 0x2000) != 0)
        exit(2);
    map_fixed(SANDBOX_CODE, 0x1000, PROT_READ | PROT_EXEC, file, 0);
    map_fixed(SANDBOX_MOVED, 0x1000, PROT_READ | PROT_EXEC, file, 0x1000);
    sandbox_code = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    sandbox_moved = sandbox_code + 0x1000;
    map_fixed(SANDBOX_DATA, SANDBOX_DATA_SIZE, PROT_READ | PROT_WRITE, -1, 0);
    map_fixed(SANDBOX_STACK, SANDBOX_STACK_SIZE, PROT_READ | PROT_WRITE, -1, 0);
    map_fixed(SANDBOX_EXIT, 0x1000, PROT_READ | PROT_WRITE, -1, 0);
    memcpy((void *)SANDBOX_EXIT, &end, sizeof end);
    for (uint64_t i = 0; i < SANDBOX_PADS; i++)
        ((uint64_t *)SANDBOX_POINTERS)[i] = SANDBOX_PAD(i);
    mprotect((void *)SANDBOX_EXIT, 0x1000, PROT_READ);
}

void sandbox_run(struct sandbox_state *state, uint64_t entry)
{
    static const uint32_t masked = 0x1f80;
    static const uint16_t control = 0x37f;
    memcpy(sandbox_registers, state->registers, sizeof sandbox_registers);
    memset(sandbox_vectors, 0, sizeof sandbox_vectors);
    memcpy(sandbox_vectors, &control, sizeof control);
    memcpy(sandbox_vectors + 24, &masked, sizeof masked);
    memcpy(sandbox_vectors + 160, state->vectors, sizeof state->vectors);
    sandbox_flags = state->flags;
    sandbox_entry = entry;
    state->signal = 0;
    state->stopped_at = state->address = 0;
    running = state;
    inside = 1;
    sandbox_enter();
    inside = 0;
    memcpy(state->registers, sandbox_registers, sizeof sandbox_registers);
    memcpy(state->vectors, sandbox_vectors + 160, sizeof state->vectors);
    state->flags = sandbox_flags;
}
