/* Stack of a blocked thread: see stack.h. What is known of it are its program counter and its stack
 * pointer. Frames that are found from the stack pointer are unwound as ever. Those that are found
 * from a register of which only the next frame knows the value are bridged. */
#include "registry/stack.h"

#include "base/probe.h"
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

/* Steps from the context outwards. True: the end of the stack was reached; false: the unwinder
 * wants a register that is not known, of the frame that *context is then in. */
static bool step_blocked(struct stack *stack, ucontext_t *context)
{
    unw_cursor_t cursor;
    unw_word_t address = 0, pointer = 0;
    ucontext_t copy = *context; /* must live as long as the cursor */
    if (unwinder.init_local2(&cursor, &copy, UNW_INIT_SIGNAL_FRAME) != 0)
        return true;
    for (;;) {
        int stepped = unwinder.step(&cursor);
        if (stepped <= 0 || stack->count == STACK_FRAMES)
            return stepped == 0 || stack->count == STACK_FRAMES;
        if (unwinder.get_register(&cursor, UNW_REG_IP, &address) != 0 || address == 0 ||
            unwinder.get_register(&cursor, UNW_REG_SP, &pointer) != 0 || in_trampoline(address))
            return true;
        context->uc_mcontext.gregs[REG_RIP] = (greg_t)address;
        context->uc_mcontext.gregs[REG_RSP] = (greg_t)pointer;
        if (!stack_is_ours(address))
            stack->frames[stack->count++] = address;
    }
}

/* A function that keeps its frame in %rbp: the word behind that of its caller is the return
 * address. What a large frame holds may be older than it is. */
static bool find_frame_pointer(ucontext_t *context)
{
    enum { LARGEST_FRAME = 512 };
    uintptr_t pointer = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    for (uintptr_t at = pointer; at < pointer + LARGEST_FRAME; at += sizeof(void *)) {
        uint64_t outer, address;
        if (!probe_word((const void *)at, &outer) ||
            !probe_word((const void *)(at + sizeof(void *)), &address))
            return false;
        if (!stack_follows_call(address))
            continue;
        context->uc_mcontext.gregs[REG_RIP] = (greg_t)address;
        context->uc_mcontext.gregs[REG_RSP] = (greg_t)at + (greg_t)(2 * sizeof(void *));
        context->uc_mcontext.gregs[REG_RBP] = (greg_t)outer;
        return true;
    }
    return false;
}

void stack_capture_blocked(struct stack *stack, uintptr_t address, uintptr_t pointer)
{
    ucontext_t context = {0};
    struct quiet quiet;
    context.uc_mcontext.gregs[REG_RIP] = (greg_t)address;
    context.uc_mcontext.gregs[REG_RSP] = (greg_t)pointer;
    stack->first_is_exact = false;
    stack->count = 1;
    stack->frames[0] = address;
    if (!may_unwind())
        return;
    quiet_begin(&quiet);
    while (stack->count < STACK_FRAMES && !step_blocked(stack, &context) &&
           find_frame_pointer(&context)) {
        uintptr_t found = (uintptr_t)context.uc_mcontext.gregs[REG_RIP];
        if (!stack_is_ours(found) && stack->count < STACK_FRAMES)
            stack->frames[stack->count++] = found;
    }
    quiet_end(&quiet);
}
