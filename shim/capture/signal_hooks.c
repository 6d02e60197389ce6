/* Signal hooks: what the program asks of signals, answered so that it cannot tell the shim is
 * there. Fault signals stay the shim's and are only written down; termination signals go through a
 * handler that notes the begin of the shutdown phase. */
#include "capture/process.h"
#include "capture/real.h"
#include "capture/signals.h"

#include "base/output.h"
#include "base/system.h"
#include "base/text.h"
#include "event/descriptor.h"
#include "event/event.h"

#define SIGNALS 65
#define OPEN_SIGNALS (1u << SIGSEGV | 1u << SIGBUS) /* never really blocked */

/* Linux x86-64 numbers 1 to 31 (signal(7)). sigabbrev_np() would need glibc 2.32. */
static const char *const names[] = {
    "?",    "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};
#define NAMED ((int)(sizeof names / sizeof *names))

/* SA_RESTORER of asm/signal.h: libc sets it, and the program reads it back. */
#define KERNEL_RESTORER 0x04000000

static struct sigaction program[SIGNALS];
static bool is_fault[SIGNALS], is_shutdown[SIGNALS];
static uint32_t masked[SIGNALS]; /* OPEN_SIGNALS that the program put into that handler's mask */

bool signals_manage(int number)
{
    return number > 0 && number < SIGNALS && (is_fault[number] || is_shutdown[number]);
}

bool signals_is_shutdown(int number)
{
    return number > 0 && number < SIGNALS && is_shutdown[number];
}

struct sigaction *signals_program_action(int number)
{
    return &program[number];
}

const char *signals_sign(int number, const char *how)
{
    /* Static texts: findings keep the pointer. */
    static char signs[SIGNALS][48];
    struct text text = text_in(signs[number], sizeof signs[number]);
    text_format(&text, "SIG%s (%s)", number < NAMED ? names[number] : "?", how);
    return signs[number];
}

/* While the program has no signal stack, a handler with SA_ONSTACK belongs on the thread's stack,
 * not on ours: the flag is kept back until it has one. */
static bool keeps_back[SIGNALS];
static _Atomic bool has_stacks;

static void take_back_stack_flag(int number, struct sigaction *ours)
{
    keeps_back[number] = (ours->sa_flags & SA_ONSTACK) != 0 && !atomic_load(&has_stacks);
    if (keeps_back[number])
        ours->sa_flags &= ~SA_ONSTACK;
}

static void give_stack_flags(void)
{
    if (atomic_exchange(&has_stacks, true))
        return;
    for (int number = 1; number < SIGNALS; number++) {
        struct sigaction action;
        if (!keeps_back[number] || real.sigaction(number, NULL, &action) != 0)
            continue;
        action.sa_flags |= SA_ONSTACK;
        keeps_back[number] = false;
        (void)real.sigaction(number, &action, NULL);
    }
}

static uint32_t take_out(sigset_t *set)
{
    uint32_t taken = 0;
    for (int number = SIGBUS; number <= SIGSEGV; number++)
        if ((OPEN_SIGNALS >> number & 1) != 0 && sigismember(set, number) == 1) {
            taken |= 1u << number;
            sigdelset(set, number);
        }
    return taken;
}

static void put_back(sigset_t *set, uint32_t taken)
{
    for (int number = SIGBUS; number <= SIGSEGV; number++)
        if ((taken >> number & 1) != 0)
            sigaddset(set, number);
}

/* Kernel's way of calling a one-argument handler is to pass three; so do we. */
static void on_termination(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct sigaction action = program[number];
    event_shutdown(signals_sign(number, "handler"));
    if ((action.sa_flags & (int)SA_RESETHAND) != 0)
        program[number].sa_handler = SIG_DFL;
    errno = saved;
    void (*handler)(int, siginfo_t *, void *) = action.sa_sigaction;
    handler(number, info, context);
}

static bool is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

static bool is_ours(const struct sigaction *action)
{
    return action->sa_sigaction == on_termination || action->sa_sigaction == signals_handle_fault;
}

/* What a child of vfork sets is not to be noted: the notes are its parent's. */
static int set_action_past_us(int number, const struct sigaction *wanted, struct sigaction *before)
{
    struct sigaction held = program[number], old;
    int result = real.sigaction(number, wanted, &old);
    if (result == 0 && before != NULL)
        *before = is_ours(&old) ? held : old;
    return result;
}

static int set_action(int number, const struct sigaction *wanted, struct sigaction *before)
{
    if (!guard_active || number <= 0 || number >= SIGNALS)
        return real.sigaction(number, wanted, before);
    if (!process_is_us())
        return set_action_past_us(number, wanted, before);
    struct sigaction given, held = program[number];
    if (wanted != NULL)
        given = *wanted; /* the two may be the same memory */
    if (!is_fault[number]) {
        struct sigaction *ours = NULL, copy;
        uint32_t taken = 0;
        bool kept_back = keeps_back[number];
        if (wanted != NULL) {
            copy = given;
            ours = &copy;
            taken = take_out(&copy.sa_mask);
            take_back_stack_flag(number, &copy);
            if (is_shutdown[number] && is_function(&given)) {
                copy.sa_sigaction = on_termination;
                copy.sa_flags |= SA_SIGINFO;
            }
        }
        struct sigaction old;
        int result = real.sigaction(number, ours, &old);
        if (result != 0) {
            keeps_back[number] = kept_back;
            return result;
        }
        if (!is_shutdown[number]) {
            held = old;
            held.sa_flags |= kept_back ? SA_ONSTACK : 0;
            put_back(&held.sa_mask, masked[number]);
        }
        if (wanted != NULL)
            masked[number] = taken;
    }
    if (wanted != NULL) {
        program[number] = given;
        program[number].sa_flags |= KERNEL_RESTORER;
    }
    if (before != NULL)
        *before = held;
    return 0;
}

/* For when its library is unloaded. A child of vfork writes into its parent's memory. */
static void note_handler(int number, sighandler_t handler, struct caller caller)
{
    int saved = errno;
    bool is_function = handler != SIG_DFL && handler != SIG_IGN;
    if (atomic_load(&library_any_opened) && guard_active && process_is_us())
        event_callback(CALLBACK_SIGNAL, (uint32_t)number, is_function ? (uintptr_t)handler : 0,
                       caller);
    errno = saved;
}

EXPORT int sigaction(int number, const struct sigaction *restrict wanted,
                     struct sigaction *restrict before)
{
    real_need();
    sighandler_t handler = wanted == NULL ? SIG_DFL : wanted->sa_handler;
    int result = set_action(number, wanted, before);
    if (result == 0 && wanted != NULL)
        note_handler(number, handler, CALLER_HERE());
    return result;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;
    sigemptyset(&action.sa_mask);
    if ((flags & SA_NODEFER) == 0)
        sigaddset(&action.sa_mask, number);
    return set_action(number, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

/* Signals that are not managed keep libc's own way (siginterrupt is known only there). */
#define SIGNAL_HOOK(name, flags)                                                                   \
    EXPORT sighandler_t name(int number, sighandler_t handler)                                     \
    {                                                                                              \
        real_need();                                                                               \
        sighandler_t before = guard_active && signals_manage(number) && handler != SIG_ERR         \
                                  ? set_handler(number, handler, flags)                            \
                                  : real.name(number, handler);                                    \
        if (before != SIG_ERR)                                                                     \
            note_handler(number, handler, CALLER_HERE());                                          \
        return before;                                                                             \
    }

SIGNAL_HOOK(signal, SA_RESTART)
SIGNAL_HOOK(bsd_signal, SA_RESTART)
SIGNAL_HOOK(ssignal, SA_RESTART)
SIGNAL_HOOK(sysv_signal, (int)SA_RESETHAND | SA_NODEFER)
SIGNAL_HOOK(__sysv_signal, (int)SA_RESETHAND | SA_NODEFER)

/* The program sees no signal stack where there is only ours. */
EXPORT int sigaltstack(const stack_t *restrict wanted, stack_t *restrict before)
{
    stack_t old = {0};
    real_need();
    if (!guard_active || guard.block == NULL)
        return real.sigaltstack(wanted, before);
    if (real.sigaltstack(wanted, &old) != 0)
        return -1;
    if (wanted != NULL && (wanted->ss_flags & SS_DISABLE) != 0)
        signals_enter_thread();
    else if (wanted != NULL)
        give_stack_flags();
    if (before != NULL)
        *before = signals_on_own_stack(old.ss_sp) ? (stack_t){.ss_flags = SS_DISABLE} : old;
    return 0;
}

static int set_mask(int (*call)(int, const sigset_t *, sigset_t *), int how, const sigset_t *set,
                    sigset_t *before)
{
    if (!guard_active)
        return call(how, set, before);
    uint32_t held = guard.blocked, taken = 0;
    sigset_t copy;
    if (set != NULL) {
        copy = *set;
        taken = take_out(&copy);
        if (how == SIG_UNBLOCK)
            copy = *set;
    }
    int result = call(how, set == NULL ? NULL : &copy, before);
    if (result != 0)
        return result;
    if (set != NULL)
        guard.blocked = how == SIG_BLOCK     ? held | taken
                        : how == SIG_UNBLOCK ? held & ~taken
                                             : taken;
    if (before != NULL)
        put_back(before, held);
    return 0;
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict before)
{
    real_need();
    if (stack_keeps_mask((uintptr_t)__builtin_return_address(0))) {
        if (before != NULL)
            sigemptyset(before); /* libunwind only hands it back */
        return 0;
    }
    return set_mask(real.sigprocmask, how, set, before);
}

EXPORT int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict before)
{
    real_need();
    if (stack_keeps_mask((uintptr_t)__builtin_return_address(0))) {
        if (before != NULL)
            sigemptyset(before); /* libunwind only hands it back */
        return 0;
    }
    return set_mask(real.pthread_sigmask, how, set, before);
}

static void waited(int number)
{
    if (guard_active && signals_is_shutdown(number))
        event_shutdown(signals_sign(number, "sigwait"));
}

EXPORT int sigwait(const sigset_t *restrict set, int *restrict number)
{
    real_need();
    int failure = real.sigwait(set, number);
    if (failure == 0)
        waited(*number);
    return failure;
}

EXPORT int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
    real_need();
    int number = real.sigwaitinfo(set, info);
    waited(number);
    return number;
}

EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                        const struct timespec *restrict timeout)
{
    real_need();
    int number = real.sigtimedwait(set, info, timeout);
    waited(number);
    return number;
}

#define DESCRIPTORS 65536
static _Atomic uint8_t from_signalfd[DESCRIPTORS / 8];
static _Atomic bool any_signalfd;

bool signals_descriptor(int descriptor)
{
    return atomic_load_explicit(&any_signalfd, memory_order_relaxed) && descriptor >= 0 &&
           descriptor < DESCRIPTORS && (from_signalfd[descriptor / 8] >> descriptor % 8 & 1) != 0;
}

void signals_note_descriptor(int descriptor)
{
    if (descriptor < 0 || descriptor >= DESCRIPTORS)
        return;
    atomic_store(&any_signalfd, true);
    atomic_fetch_or(&from_signalfd[descriptor / 8], (uint8_t)(1 << descriptor % 8));
}

void signals_forget_descriptor(int descriptor)
{
    if (signals_descriptor(descriptor))
        atomic_fetch_and(&from_signalfd[descriptor / 8], (uint8_t) ~(1 << descriptor % 8));
}

void signals_read(const void *buffer, size_t size)
{
    const struct signalfd_siginfo *info = buffer;
    for (; size >= sizeof *info; size -= sizeof *info, info++)
        if (guard_active && signals_is_shutdown((int)info->ssi_signo))
            event_shutdown(signals_sign((int)info->ssi_signo, "signalfd"));
}

EXPORT int signalfd(int descriptor, const sigset_t *mask, int flags)
{
    real_need();
    int result = real.signalfd(descriptor, mask, flags);
    if (guard_active)
        signals_note_descriptor(result);
    if (result != descriptor)
        event_opened(result, "signalfd", CALLER_HERE());
    return result;
}

void signals_open_faults(void)
{
    if (system_is_refused(SYS_rt_sigprocmask))
        return;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigaddset(&set, SIGBUS);
    (void)real.pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool signals_on_own_stack(const void *address)
{
    const char *stack = guard.block == NULL ? NULL : guard.block->signal_stack;
    return stack != NULL && (const char *)address >= stack &&
           (const char *)address < stack + THREAD_SIGNAL_STACK_SIZE;
}

void signals_enter_thread(void)
{
    signals_open_faults();
    if (guard.block == NULL || system_is_refused(SYS_sigaltstack))
        return;
    stack_t ours = {.ss_sp = guard.block->signal_stack, .ss_size = THREAD_SIGNAL_STACK_SIZE}, held;
    if (real.sigaltstack(NULL, &held) == 0 && (held.ss_flags & SS_DISABLE) != 0)
        (void)real.sigaltstack(&ours, NULL);
}

void signals_leave_thread(void)
{
    stack_t none = {.ss_flags = SS_DISABLE}, held;
    if (!system_is_refused(SYS_sigaltstack) && real.sigaltstack(NULL, &held) == 0 &&
        signals_on_own_stack(held.ss_sp))
        (void)real.sigaltstack(&none, NULL);
}

static void choose_shutdown_signals(const char *list)
{
    while (*list != '\0') {
        char name[16];
        struct text text = text_in(name, sizeof name);
        while (*list != '\0' && *list != ',')
            text_add_char(&text, *list++);
        if (*list == ',')
            list++;
        int number = 1;
        while (number < NAMED && !text_equal(names[number], name))
            number++;
        if (number == NAMED || number == SIGKILL || number == SIGSTOP)
            output_tell_once("shutdown_signals names no signal that can be seen; write names such "
                             "as TERM,INT",
                             name);
        else
            is_shutdown[number] = true;
    }
}

void signals_start(const struct options *options)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    choose_shutdown_signals(options->shutdown_signals);
    for (int number = 1; number < SIGNALS; number++)
        if (is_shutdown[number])
            (void)real.sigaction(number, NULL, &program[number]);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct sigaction ours = {.sa_sigaction = signals_handle_fault,
                                 .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
        sigfillset(&ours.sa_mask);
        (void)take_out(&ours.sa_mask);
        is_fault[faults[i]] = true;
        is_shutdown[faults[i]] = false;
        (void)real.sigaction(faults[i], &ours, &program[faults[i]]);
    }
    signals_note_restorer();
    sigset_t mask;
    if (real.pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0)
        guard.blocked = take_out(&mask);
}
