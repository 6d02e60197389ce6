/* Thread stack: a thread uses what lay on the stack of another one that has ended: a variable of a
 * function, a thread-local object, or what a pthread_t stands for. A late-touch. */
#include "detect/detect.h"

static enum thread_part part_of(const struct thread_stack *stack, uintptr_t address)
{
    if (address < stack->entered)
        return THREAD_PART_FRAMES;
    return address >= (uintptr_t)stack->owner.handle ? THREAD_PART_RECORD : THREAD_PART_LOCALS;
}

/* Of a thread that has just returned, or was cancelled, no frame is left but its start function. */
static void add_end(struct finding *finding, const struct thread_stack *stack)
{
    finding->end.actor = actor_of(&stack->owner);
    finding->end.ticks = stack->ended ? stack->owner.end_ticks : 0;
    finding->end.has = stack_get(stack->end_stack, &finding->end.stack);
    if (finding->end.has)
        return;
    finding->end.has = true;
    finding->end.stack.first_is_exact = true;
    finding->end.stack.count = 1;
    finding->end.stack.frames[0] = (uintptr_t)stack->owner.entry;
}

static uintptr_t function_at(const struct thread_stack *stack, uintptr_t address)
{
    for (size_t i = 0; i + 1 < stack->frame_count; i++)
        if (address > stack->slots[i] && address < stack->slots[i + 1])
            return stack->frames[i];
    return 0;
}

void detect_thread_stack(struct finding *finding, const struct touch *touch,
                         const struct thread_stack *stack)
{
    const struct thread *owner = &stack->owner;
    finding_start(finding, KIND_LATE_TOUCH, touch);
    finding->part = part_of(stack, touch->address);
    finding->ending = owner->ending;
    finding->frame_of = function_at(stack, touch->address);
    finding->address = stack->first;
    finding->size = stack->top - stack->first;
    finding->birth_site = (uintptr_t)owner->entry;
    add_end(finding, stack);
    finding->birth.has = stack_get(owner->start_stack, &finding->birth.stack);
    finding->birth.actor = actor_of_reference(owner->creator);
    finding->birth.ticks = owner->start_ticks;
    finding->other.has = stack_get(stack->join_stack, &finding->other.stack);
    finding->other.actor = actor_of_reference(owner->joiner);
    finding->other.ticks = owner->joined_ticks;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_access(&text, finding, touch, false);
    if (touch->access == ACCESS_SYSTEM)
        text_format(&evidence, "%s() was given address 0x%lx", touch->function, touch->address);
    else
        text_format(&evidence, "access to address 0x%lx trapped", touch->address);
    text_format(&evidence,
                ": the thread's stack, 0x%lx to 0x%lx, was taken away when %s and not handed out "
                "since",
                stack->first, stack->top,
                stack->gone       ? "the thread had been joined"
                : stack->released ? "the detached thread was gone"
                                  : "the thread was gone, though not joined yet");
}
