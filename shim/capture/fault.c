/* Fault: the shim's handler of SIGSEGV, SIGBUS, SIGABRT, SIGILL and SIGFPE. It understands the
 * fault, asks the event layer, and hands what is not ours to the program as the kernel would have:
 * it builds the program's signal frame and returns into it, so masks, signal stacks, siglongjmp and
 * changes to the context all work. Runs on the thread's signal stack. */
#include "capture/entry.h"
#include "capture/operand.h"
#include "capture/real.h"
#include "capture/signals.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/system.h"
#include "event/event.h"
#include "heap/poison.h"
#include "report/report.h"

#include <errno.h>
#include <ucontext.h>

/* The kernel's part of ucontext_t: glibc's is longer (arch/x86/include/uapi/asm/ucontext.h). */
struct kernel_context {
    unsigned long flags;
    struct kernel_context *link;
    stack_t stack;
    uint64_t registers[23];
    void *float_state;
    uint64_t reserved[8];
    uint64_t mask;
};
_Static_assert(sizeof(struct kernel_context) == 304, "as in the kernel's rt_sigframe");

/* arch/x86/include/asm/sigframe.h */
struct signal_frame {
    void (*restorer)(void);
    struct kernel_context context;
    siginfo_t info;
};

/* struct _fpx_sw_bytes at the end of the 512-byte FXSAVE area
 * (arch/x86/include/uapi/asm/sigcontext.h). */
#define FXSAVE_SIZE 512
#define EXTENDED_AT 464
#define EXTENDED_MAGIC UINT32_C(0x46505853)

static size_t float_size(const void *state)
{
    uint32_t words[2];
    if (state == NULL)
        return 0;
    __builtin_memcpy(words, (const char *)state + EXTENDED_AT, sizeof words);
    return words[0] == EXTENDED_MAGIC ? words[1] : FXSAVE_SIZE;
}

/* Writes a signal frame below `top`, as the kernel aligns it: 16 bytes, less the return address. */
static struct signal_frame *write_frame(char *top, const struct kernel_context *context,
                                        const siginfo_t *info, void (*restorer)(void))
{
    size_t size = context->float_state == NULL ? 0 : float_size(context->float_state);
    char *state = (char *)((uintptr_t)(top - size) & ~(uintptr_t)63);
    struct signal_frame *frame =
        (struct signal_frame *)(((uintptr_t)(state - sizeof *frame) & ~(uintptr_t)15) - 8);
    if (context->float_state != NULL)
        __builtin_memmove(state, context->float_state, size);
    frame->restorer = restorer;
    frame->context = *context;
    frame->context.float_state = size == 0 ? NULL : state;
    frame->info = *info;
    return frame;
}

/* Ends the handler with a context that is not the one it was entered with. */
__attribute__((noreturn)) static void return_to(struct signal_frame *frame)
{
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "mov %1, %%eax\n\t"
                     "syscall"
                     :
                     : "r"(&frame->context), "i"(SYS_rt_sigreturn)
                     : "memory");
    __builtin_unreachable();
}

static void (*restorer_of(int number))(void)
{
    struct {
        void *handler;
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {0};
    static void (*known)(void); /* libc has one for all */
    if (system_call4(SYS_rt_sigaction, number, 0, (long)&action, 8) == 0)
        known = action.restorer;
    return known;
}

void signals_note_restorer(void)
{
    (void)restorer_of(SIGSEGV);
}

/* Deaths by signal are the kernel's to make: the status, and the registers in the core, are true.
 */
static void die_by_default(int number, siginfo_t *info)
{
    event_dying();
    struct sigaction none = {.sa_handler = SIG_DFL};
    (void)real.sigaction(number, &none, NULL);
    if (info->si_code <= 0) /* not an instruction that will fault again */
        (void)system_call4(SYS_rt_tgsigqueueinfo, system_process(), system_thread(), number,
                           (long)info);
}

static void deliver(int number, siginfo_t *info, struct kernel_context *context)
{
    struct sigaction *program = signals_program_action(number), action = *program;
    bool sent = info->si_code <= 0;
    if (action.sa_handler == SIG_IGN && sent)
        return;
    if (action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL) {
        die_by_default(number, info);
        return;
    }
    if ((action.sa_flags & (int)SA_RESETHAND) != 0)
        program->sa_handler = SIG_DFL;
    char *stack = (char *)context->registers[REG_RSP];
    const stack_t *alternate = &context->stack;
    bool has_alternate = (alternate->ss_flags & SS_DISABLE) == 0 &&
                         !signals_on_own_stack(alternate->ss_sp) && alternate->ss_size != 0;
    bool on_alternate = has_alternate && stack > (char *)alternate->ss_sp &&
                        stack <= (char *)alternate->ss_sp + alternate->ss_size;
    if ((action.sa_flags & SA_ONSTACK) != 0 && has_alternate && !on_alternate)
        stack = (char *)alternate->ss_sp + alternate->ss_size;
    else
        stack -= 128; /* the red zone */
    /* First a copy of what we were entered with, on this stack: the program's frame may have to lie
     * where the original does. */
    static const size_t room = 16 * 1024;
    char own[16 * 1024] __attribute__((aligned(64)));
    if (float_size(context->float_state) + sizeof(struct signal_frame) + 256 > room) {
        die_by_default(number, info);
        return;
    }
    void (*restorer)(void) = restorer_of(number);
    struct signal_frame *leave = write_frame(own + room, context, info, restorer);
    struct signal_frame *enter = write_frame(stack, &leave->context, &leave->info, restorer);
    if (has_alternate == false) /* the program must not find our stack in its context */
        enter->context.stack = (stack_t){.ss_flags = SS_DISABLE};
    uint64_t mask;
    __builtin_memcpy(&mask, &action.sa_mask, sizeof mask);
    mask &= ~(UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1));
    if ((action.sa_flags & SA_NODEFER) == 0 && number != SIGSEGV && number != SIGBUS)
        mask |= UINT64_C(1) << (number - 1);
    leave->context.mask |= mask;
    uint64_t *registers = leave->context.registers;
    registers[REG_RIP] = (uint64_t)(uintptr_t)action.sa_sigaction;
    registers[REG_RDI] = (uint64_t)number;
    registers[REG_RSI] = (uint64_t)(uintptr_t)&enter->info;
    registers[REG_RDX] = (uint64_t)(uintptr_t)&enter->context;
    registers[REG_RAX] = 0;
    registers[REG_RSP] = (uint64_t)(uintptr_t)enter;
    registers[REG_EFL] &= ~UINT64_C(0x10500); /* resume, direction and trap flags */
    return_to(leave);
}

/* Stacks of other threads, for the life-cycle picture: SIGSEGV is the one signal that is ours in
 * every thread and never blocked. One request at a time (the report lock). */
static struct {
    _Atomic pid_t wanted;
    _Atomic bool done;
    struct stack stack;
} sample;

#define SAMPLE_CODE SI_QUEUE

bool signals_sample(pid_t tid, struct stack *stack)
{
    if (event_waits_in_object(tid, stack))
        return stack->count > 0;
    siginfo_t info = {0};
    info.si_signo = SIGSEGV;
    info.si_code = SAMPLE_CODE;
    info.si_pid = system_process();
    info.si_value.sival_ptr = &sample;
    static bool abandoned; /* some thread began to answer and has not ended */
    if (abandoned && !atomic_load(&sample.done))
        return false;
    abandoned = false;
    atomic_store(&sample.done, false);
    atomic_store(&sample.wanted, tid);
    if (system_call4(SYS_rt_tgsigqueueinfo, system_process(), tid, SIGSEGV, (long)&info) != 0) {
        atomic_store(&sample.wanted, 0);
        return false;
    }
    for (int i = 0; i < 50 && !atomic_load(&sample.done); i++)
        system_sleep_ms(1);
    /* From here on nobody begins; who has begun gets a second. */
    if (atomic_exchange(&sample.wanted, 0) == tid)
        return false;
    for (int i = 0; i < 1000 && !atomic_load(&sample.done); i++)
        system_sleep_ms(1);
    abandoned = !atomic_load(&sample.done);
    if (abandoned || sample.stack.count == 0)
        return false;
    *stack = sample.stack;
    return true;
}

static bool asks_for_sample(int number, const siginfo_t *info)
{
    return number == SIGSEGV && info->si_code == SAMPLE_CODE && info->si_value.sival_ptr == &sample;
}

static void answer_sample(const ucontext_t *context)
{
    pid_t own = system_thread(); /* a late signal must not take another thread's turn */
    if (!atomic_compare_exchange_strong(&sample.wanted, &own, 0))
        return;
    sample.stack.count = 0;
    if (guard.unwinding == NULL) /* libunwind cannot be entered again where it was interrupted */
        stack_capture_context(&sample.stack, context);
    atomic_store(&sample.done, true);
}

static uint64_t register_value(const ucontext_t *context, int number)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)context->uc_mcontext.gregs[order[number]];
}

static void add_word(struct fault *fault, uint64_t word)
{
    if (fault->word_count < sizeof fault->words / sizeof *fault->words)
        fault->words[fault->word_count++] = word;
}

/* 15 bytes is the longest instruction; it may end with its page. */
static size_t instruction_room(const ucontext_t *context)
{
    uint64_t rest = 4096 - ((uint64_t)context->uc_mcontext.gregs[REG_RIP] & 4095);
    return rest < 15 ? rest : 15;
}

static bool modifies_memory(const ucontext_t *context)
{
    struct operand operand;
    return operand_decode((const uint8_t *)context->uc_mcontext.gregs[REG_RIP],
                          instruction_room(context), &operand) &&
           operand.modifies;
}

/* A general protection or stack fault carries no address: the operand tells it. */
static void read_operand(struct fault *fault, const ucontext_t *context)
{
    struct operand operand;
    const uint8_t *code = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
    uint64_t pc = (uint64_t)(uintptr_t)code;
    if (poison_looks_like(pc)) { /* some processors have already jumped */
        fault->access = ACCESS_CALL;
        add_word(fault, pc);
        return;
    }
    if (!operand_decode(code, instruction_room(context), &operand))
        return;
    if (operand.is_call)
        fault->access = ACCESS_CALL;
    if (operand.is_string) {
        add_word(fault, register_value(context, 6));
        add_word(fault, register_value(context, 7));
    }
    if (operand.is_return) {
        fault->access = ACCESS_CALL;
        add_word(fault, *(const uint64_t *)context->uc_mcontext.gregs[REG_RSP]);
    }
    if (operand.base != OPERAND_NONE)
        add_word(fault, register_value(context, operand.base));
    if (operand.index != OPERAND_NONE)
        add_word(fault, register_value(context, operand.index));
}

/* Page fault error code: bit 1 write, bit 4 instruction fetch (Intel SDM volume 3, 4.7). */
static enum access access_of(const ucontext_t *context)
{
    uint64_t code = (uint64_t)context->uc_mcontext.gregs[REG_ERR];
    return (code & 16) != 0 ? ACCESS_CALL : (code & 2) != 0 ? ACCESS_WRITE : ACCESS_READ;
}

/* Code that is not there has no unwind information. Where it was called, and not returned to, its
 * return address is on top of the stack: a caller's, or that of a signal handler, which goes to
 * `mov $15, %rax; syscall` (rt_sigreturn). */
static void add_callers(struct stack *stack, const ucontext_t *context)
{
    static const unsigned char end_of_handler[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f};
    ucontext_t copy = *context;
    uint64_t address, code, wanted;
    struct stack callers;
    __builtin_memcpy(&wanted, end_of_handler, sizeof wanted);
    if (!probe_word((const void *)copy.uc_mcontext.gregs[REG_RSP], &address) ||
        !probe_word((const void *)address, &code) ||
        (code != wanted && !stack_follows_call(address)))
        return;
    copy.uc_mcontext.gregs[REG_RIP] = (greg_t)address;
    copy.uc_mcontext.gregs[REG_RSP] += (greg_t)sizeof address;
    stack_capture_context(&callers, &copy);
    for (uint32_t i = 0; i < callers.count && stack->count < STACK_FRAMES; i++)
        stack->frames[stack->count++] = callers.frames[i];
}

/* Returns normally when the program is to go on where it was. */
static void handle(int number, int cancellation, siginfo_t *info, ucontext_t *context)
{
    struct fault fault = {.signal = number,
                          .sent = info->si_code <= 0,
                          .stack_pointer = (uintptr_t)context->uc_mcontext.gregs[REG_RSP]};
    if (report_is_mine()) {
        /* The report itself faulted: nothing more can be told. */
        static const char words[] = "outlive: a fault while writing a report; the report above is "
                                    "incomplete\n";
        (void)system_write(2, words, sizeof words - 1);
        die_by_default(number, info);
        return;
    }
    report_prepare(); /* the first unwinding of a thread takes its time */
    if (!fault.sent && (number == SIGSEGV || number == SIGBUS)) {
        fault.has_address = info->si_code != SI_KERNEL;
        fault.address = (uintptr_t)info->si_addr;
        fault.access = access_of(context);
        if (!fault.has_address)
            read_operand(&fault, context);
        else if (fault.access == ACCESS_WRITE)
            fault.modifies = modifies_memory(context);
    }
    stack_capture_context(&fault.stack, context);
    if (fault.access == ACCESS_CALL && fault.has_address && fault.stack.count == 1)
        add_callers(&fault.stack, context);
    bool gone = event_fault(&fault);
    report_prepared();
    if (gone)
        return;
    (void)pthread_setcancelstate(cancellation, NULL); /* deliver() may not come back */
    deliver(number, info, (struct kernel_context *)context);
}

struct arguments {
    int number, cancellation;
    siginfo_t *info;
    ucontext_t *context;
};

static void mask_faults(int how)
{
    uint64_t faults = UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1);
    (void)system_call4(SYS_rt_sigprocmask, how, (long)&faults, 0, 8);
}

/* The kernel blocks the signal that it delivers: a fault of our own would end the process without
 * a word, and no sample could come. */
static void handle_arguments(struct arguments *arguments)
{
    mask_faults(SIG_UNBLOCK);
    if (asks_for_sample(arguments->number, arguments->info))
        answer_sample(arguments->context);
    else
        handle(arguments->number, arguments->cancellation, arguments->info, arguments->context);
}

/* On the shim's stack, come from the program's signal stack. The kernel writes the next signal's
 * frame at the top of a signal stack that the thread is not on (kernel/signal.c, sigsp()): there
 * lies the one we were entered with, and what the program was doing. So ours is the signal stack
 * until the end of the handler, where the kernel sets the program's again. */
static void handle_on_own_stack(struct arguments *arguments)
{
    stack_t ours = {.ss_sp = guard.block->signal_stack, .ss_size = THREAD_SIGNAL_STACK_SIZE};
    (void)system_call3(SYS_sigaltstack, (long)&ours, 0, 0);
    handle_arguments(arguments);
}

/* Calls the function on another stack; rbp keeps the way back, for the unwinder too. */
void call_on(char *top, void (*function)(struct arguments *), struct arguments *arguments)
    __attribute__((visibility("hidden")));
__asm__(".pushsection .text\n"
        ".hidden call_on\n"
        ".globl call_on\n"
        ".type call_on, @function\n"
        "call_on:\n"
        ".cfi_startproc\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\n"
        "mov %rsp, %rbp\n"
        ".cfi_def_cfa_register rbp\n"
        "mov %rdi, %rsp\n"
        "mov %rdx, %rdi\n"
        "call *%rsi\n"
        "mov %rbp, %rsp\n"
        "pop %rbp\n"
        ".cfi_def_cfa rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size call_on, . - call_on\n"
        ".popsection\n");

void signals_handle_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    uintptr_t at = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
    bool by_access = (number == SIGSEGV || number == SIGBUS) && info->si_code > 0; /* not sent */
    uintptr_t go_on = by_access ? probe_fault(at) : 0;
    if (go_on == 0 && by_access)
        go_on = entry_fault(at);
    if (go_on != 0) {
        interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)go_on;
        return;
    }
    int saved = errno, cancellation;
    /* Unwinding opens files, which would let a pending cancellation act inside the report. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
    struct arguments arguments = {number, cancellation, info, context};
    /* A signal stack of the program may be too small for a report. */
    if (guard.block != NULL && !signals_on_own_stack(&arguments)) {
        mask_faults(SIG_BLOCK); /* until the signal stack is ours */
        call_on(guard.block->signal_stack + THREAD_SIGNAL_STACK_SIZE, handle_on_own_stack,
                &arguments);
    } else {
        handle_arguments(&arguments);
    }
    (void)pthread_setcancelstate(cancellation, NULL);
    errno = saved;
}
