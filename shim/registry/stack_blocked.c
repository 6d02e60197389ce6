/* Stack of a blocked thread: see stack.h. What is known of it are its program counter and its stack
 * pointer, and what its hook noted. Frames that are found from the stack pointer are unwound as
 * ever. Those that are found from a register of which only the next frame knows the value are
 * bridged. */
#include "registry/stack.h"

#include "base/probe.h"
#include "registry/sleep.h"
#include "registry/unwinder.h"

/* CALL: E8 and four bytes, or FF /2 with none to five more and maybe a prefix (Intel SDM volume 2).
 */
bool stack_follows_call(uintptr_t address)
{
    uint64_t word;
    unsigned char bytes[sizeof word];
    if (!probe_word((const void *)(address - sizeof word), &word))
        return false;
    __builtin_memcpy(bytes, &word, sizeof word);
    if (bytes[3] == 0xe8)
        return true;
    for (size_t length = 2; length <= 7; length++)
        if (bytes[8 - length] == 0xff && (bytes[9 - length] >> 3 & 7) == 2)
            return true;
    return false;
}

/* What a large frame holds may be older than it is. */
#define LARGEST_FRAME 512

/* The walk from frame to frame, and what is gathered on it. */
struct walk {
    ucontext_t context;
    struct stack *stack;
    const struct thread_sleep *sleep; /* NULL: none, or it was reached */
    struct stack_held *held;          /* NULL: nothing is gathered */
};

static const struct {
    int sleep, context;
    unw_regnum_t unwinder;
} kept_registers[] = {
    {SLEEP_BP, REG_RBP, UNW_X86_64_RBP},  {SLEEP_BX, REG_RBX, UNW_X86_64_RBX},
    {SLEEP_R12, REG_R12, UNW_X86_64_R12}, {SLEEP_R13, REG_R13, UNW_X86_64_R13},
    {SLEEP_R14, REG_R14, UNW_X86_64_R14}, {SLEEP_R15, REG_R15, UNW_X86_64_R15},
};
#define KEPT_REGISTERS (sizeof kept_registers / sizeof *kept_registers)

static void gather(struct stack_held *held, uint64_t word)
{
    if (word - held->first >= held->last - held->first)
        return;
    for (size_t i = 0; i < held->count; i++)
        if (held->words[i] == word)
            return;
    if (held->count < STACK_HELD_WORDS)
        held->words[held->count++] = word;
}

/* The registers that the frame's caller has, and the slots of the frame itself, without its return
 * address. */
static void gather_frame(const struct walk *walk, uintptr_t from, uintptr_t to)
{
    uint64_t word;
    for (size_t i = 0; i < KEPT_REGISTERS; i++)
        gather(walk->held, (uint64_t)walk->context.uc_mcontext.gregs[kept_registers[i].context]);
    for (uintptr_t at = from; to - from <= LARGEST_FRAME && at + sizeof word < to;
         at += sizeof word)
        if (probe_word((const void *)at, &word))
            gather(walk->held, word);
}

static void take_registers(ucontext_t *context, unw_cursor_t *cursor)
{
    for (size_t i = 0; i < KEPT_REGISTERS; i++) {
        unw_word_t value = 0;
        if (unwinder.get_register(cursor, kept_registers[i].unwinder, &value) == 0)
            context->uc_mcontext.gregs[kept_registers[i].context] = (greg_t)value;
    }
}

/* The frame that the walk has come to is the hook that made the note: all its registers are known.
 * Arguments of the call may lie between. */
static bool is_noted(const struct walk *walk, uintptr_t address, uintptr_t pointer)
{
    enum { ARGUMENTS = 64 };
    return walk->sleep != NULL && stack_is_ours(address) &&
           walk->sleep->registers[SLEEP_SP] - pointer <= ARGUMENTS;
}

static void go_on_from_note(struct walk *walk)
{
    greg_t *registers = walk->context.uc_mcontext.gregs;
    registers[REG_RIP] = (greg_t)walk->sleep->registers[SLEEP_PC];
    registers[REG_RSP] = (greg_t)walk->sleep->registers[SLEEP_SP];
    for (size_t i = 0; i < KEPT_REGISTERS; i++)
        registers[kept_registers[i].context] =
            (greg_t)walk->sleep->registers[kept_registers[i].sleep];
    walk->sleep = NULL;
}

enum step_end { STEP_OUTERMOST, STEP_UNKNOWN, STEP_NOTED };

/* Steps from the context outwards, to the end of the stack, to the hook's frame, or until the
 * unwinder wants a register that is not known, of the frame that the context is then in. */
static enum step_end step_blocked(struct walk *walk)
{
    unw_cursor_t cursor;
    unw_word_t address = 0, pointer = 0;
    greg_t *registers = walk->context.uc_mcontext.gregs;
    ucontext_t copy = walk->context; /* must live as long as the cursor */
    if (unwinder.init_local2(&cursor, &copy, UNW_INIT_SIGNAL_FRAME) != 0)
        return STEP_OUTERMOST;
    for (;;) {
        uintptr_t from = (uintptr_t)registers[REG_RSP];
        bool ours = stack_is_ours((uintptr_t)registers[REG_RIP]);
        int stepped = unwinder.step(&cursor);
        if (stepped <= 0 || walk->stack->count == STACK_FRAMES)
            return stepped == 0 || walk->stack->count == STACK_FRAMES ? STEP_OUTERMOST
                                                                      : STEP_UNKNOWN;
        if (unwinder.get_register(&cursor, UNW_REG_IP, &address) != 0 || address == 0 ||
            unwinder.get_register(&cursor, UNW_REG_SP, &pointer) != 0 || in_trampoline(address))
            return STEP_OUTERMOST;
        registers[REG_RIP] = (greg_t)address;
        registers[REG_RSP] = (greg_t)pointer;
        take_registers(&walk->context, &cursor);
        if (is_noted(walk, address, pointer))
            return STEP_NOTED;
        if (walk->held != NULL && !ours && pointer > from)
            gather_frame(walk, from, pointer);
        else if (walk->held != NULL)
            gather_frame(walk, 0, 0);
        if (!stack_is_ours(address))
            walk->stack->frames[walk->stack->count++] = address;
    }
}

/* A function that keeps its frame in %rbp: the word behind that of its caller is the return
 * address. */
static bool find_frame_pointer(struct walk *walk)
{
    greg_t *registers = walk->context.uc_mcontext.gregs;
    uintptr_t pointer = (uintptr_t)registers[REG_RSP];
    for (uintptr_t at = pointer; at < pointer + LARGEST_FRAME; at += sizeof(void *)) {
        uint64_t outer, address;
        if (!probe_word((const void *)at, &outer) ||
            !probe_word((const void *)(at + sizeof(void *)), &address))
            return false;
        if (!stack_follows_call(address))
            continue;
        registers[REG_RIP] = (greg_t)address;
        registers[REG_RSP] = (greg_t)at + (greg_t)(2 * sizeof(void *));
        registers[REG_RBP] = (greg_t)outer;
        if (!stack_is_ours(address) && walk->stack->count < STACK_FRAMES)
            walk->stack->frames[walk->stack->count++] = address;
        return true;
    }
    return false;
}

static void walk_blocked(struct walk *walk, uintptr_t address, uintptr_t pointer)
{
    struct quiet quiet;
    walk->context.uc_mcontext.gregs[REG_RIP] = (greg_t)address;
    walk->context.uc_mcontext.gregs[REG_RSP] = (greg_t)pointer;
    walk->stack->first_is_exact = false;
    walk->stack->count = 1;
    walk->stack->frames[0] = address;
    if (!may_unwind())
        return;
    quiet_begin(&quiet);
    while (walk->stack->count < STACK_FRAMES) {
        enum step_end end = step_blocked(walk);
        if (end == STEP_NOTED)
            go_on_from_note(walk);
        else if (end == STEP_OUTERMOST || !find_frame_pointer(walk))
            break;
    }
    quiet_end(&quiet);
}

void stack_capture_blocked(struct stack *stack, uintptr_t address, uintptr_t pointer)
{
    struct walk walk = {.stack = stack};
    walk_blocked(&walk, address, pointer);
}

void stack_hold(struct stack_held *held, struct stack *stack, const struct thread_sleep *sleep,
                uintptr_t address, uintptr_t pointer)
{
    struct walk walk = {.stack = stack, .held = held, .sleep = sleep};
    held->count = 0;
    walk_blocked(&walk, address, pointer);
    held->exact = walk.sleep == NULL;
}
