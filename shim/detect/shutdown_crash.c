/* Shutdown crash: the program crashed while it shut down, and no other kind says why. Where it met
 * a null pointer, the code of the frames is looked at for the pointers in static storage that it
 * loads: one that an exit handler made null is the cause. */
#include "base/probe.h"
#include "detect/detect.h"
#include "registry/nulled.h"
#include "registry/phase.h"

#define FRAMES_LOOKED_AT 6
#define CODE_LOOKED_AT 1024 /* bytes before the frame's address */

struct code {
    uintptr_t start, end; /* end: of the instruction that the frame stands at */
};

static uint8_t byte_at(uintptr_t address)
{
    uint64_t word = 0;
    (void)probe_word((const void *)(address & ~(uintptr_t)7), &word);
    return (uint8_t)(word >> address % 8 * 8);
}

static uint32_t word_at(uintptr_t address)
{
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; i++)
        word |= (uint32_t)byte_at(address + i) << 8 * i;
    return word;
}

/* mov DISPLACEMENT(%rip),%REGISTER, or mov ADDRESS,%REGISTER as programs at a fixed address have
 * it, of 64 bits: REX.W with or without R, 8b, mod 0 and r/m 5, or r/m 4 and a SIB byte without
 * base and index (Intel SDM volume 2, 2.1.5 and 2.2.1.6). Its operand, or 0. */
static uintptr_t loaded_by(uintptr_t at)
{
    if ((byte_at(at) & 0xfb) != 0x48 || byte_at(at + 1) != 0x8b)
        return 0;
    if ((byte_at(at + 2) & 0xc7) == 5)
        return at + 7 + (uintptr_t)(intptr_t)(int32_t)word_at(at + 3);
    if ((byte_at(at + 2) & 0xc7) == 4 && byte_at(at + 3) == 0x25)
        return word_at(at + 4);
    return 0;
}

static const struct exit_handler *nulled_in(struct code code, uintptr_t *pointer)
{
    for (uintptr_t at = code.end; at-- > code.start;) {
        uintptr_t operand = loaded_by(at);
        const struct exit_handler *handler = operand == 0 ? NULL : nulled_by(operand);
        if (handler == NULL)
            continue;
        *pointer = operand;
        return handler;
    }
    return NULL;
}

static struct code code_of(const struct stack *stack, uint32_t frame)
{
    uintptr_t end = stack->frames[frame];
    uintptr_t start = stack_function_start(frame == 0 && stack->first_is_exact ? end : end - 1);
    if (start == 0 || start > end)
        start = end;
    return (struct code){end - start > CODE_LOOKED_AT ? end - CODE_LOOKED_AT : start, end};
}

static void find_cause(struct finding *finding, const struct stack *stack)
{
    for (uint32_t i = 0; i < stack->count && i < FRAMES_LOOKED_AT; i++) {
        const struct exit_handler *handler = nulled_in(code_of(stack, i), &finding->null_pointer);
        if (handler == NULL)
            continue;
        finding->ended_in = (struct in_handler){handler->function, 0,
                                                atomic_load(&handler->state) == EXIT_HANDLER_ENDED};
        finding->end.actor = actor_of_reference(handler->runner);
        return;
    }
}

void detect_shutdown_crash(struct finding *finding, const struct touch *touch, const char *what,
                           bool by_null_pointer)
{
    finding_start(finding, KIND_SHUTDOWN_CRASH, touch);
    finding->with_picture = true;
    finding->can_continue = true;
    if (by_null_pointer)
        find_cause(finding, &touch->stack);
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " ended the program by %s in the shutdown phase (begun by %s)", what,
                phase_sign());
    if (finding->null_pointer != 0) {
        struct text evidence = evidence_of(finding);
        text_format(&text, ": the pointer %c became null%c of ", FINDING_POINTER_NAME,
                    FINDING_HANDLER_NAME);
        write_thread(&text, &finding->end.actor);
        text_format(
            &evidence,
            "the code of a frame loads the pointer at 0x%lx, which was not null before that "
            "exit handler ran, and is null now",
            finding->null_pointer);
    }
}
