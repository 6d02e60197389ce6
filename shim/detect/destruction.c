/* Destruction: a destructor that must not run, or that ran while others still used the object. */
#include "base/clock.h"
#include "detect/detect.h"

void detect_wild_destructor(struct finding *finding, const struct touch *touch)
{
    finding_start(finding, KIND_WILD_DESTRUCTOR, touch);
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " entered a destructor with `this` = 0x%lx, where no object can be",
                touch->address);
    finding->cannot_reason = "the program cannot go on: there is nothing to destroy";
}

void detect_double_destruction(struct finding *finding, const struct touch *touch,
                               const struct object *object, const struct block *block)
{
    finding_start(finding, KIND_DOUBLE_DESTRUCTION, touch);
    if (object != NULL)
        finding_add_object(finding, object);
    else if (block != NULL)
        finding_add_block(finding, block);
    finding->can_continue = true; /* the memory can be given back, or only poison is read */
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " entered a destructor on ");
    if (finding->has_object && touch->address != finding->address) {
        finding->has_offset = true;
        finding->offset = touch->address - finding->address;
        text_format(&text, "offset %lu of ", finding->offset);
    }
    write_what(&text, finding);
    text_add(&text, finding->end.ticks == 0 ? "" : " ");
    write_when(&text, finding);
    text_format(&evidence, "`this` is 0x%lx, in memory that was not handed out since",
                touch->address);
}

void detect_touch_during_destruction(struct finding *finding, const struct thread *thread,
                                     const struct object *object, const struct thread_touch *touch,
                                     const struct thread_member *member, const struct stack *stack)
{
    struct touch now = {.thread = thread};
    if (stack != NULL)
        now.stack = *stack;
    else
        (void)stack_get(touch->stack, &now.stack);
    finding_start(finding, KIND_TOUCH_DURING_DESTRUCTION, &now);
    finding_add_object(finding, object);
    finding->touch.ticks = touch != NULL ? touch->ticks : member->ticks;
    finding->can_continue = true;
    finding->has_offset = true;
    finding->offset = (touch != NULL ? touch->address : member->self) - object->address;
    if (touch == NULL)
        finding->grade = POSSIBLE;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    if (touch == NULL)
        text_add(&text, " is inside a member function of an object at");
    else if (touch->inside)
        text_format(&text, " is in %s() on", touch->function);
    else
        text_add(&text, " holds the mutex at");
    text_format(&text, " offset %lu of ", finding->offset);
    write_what(&text, finding);
    text_add(&text, ", which ");
    write_thread(&text, &finding->end.actor);
    text_add(&text, " has destroyed");
    uint64_t took = clock_nanoseconds_between(object->destructor_ticks, object->end_ticks) / 1000;
    text_format(&evidence,
                "its destructor was entered %lu us before its memory was freed; then that "
                "thread had not left the %s",
                took,
                touch == NULL   ? "function, and may only have had to return"
                : touch->inside ? "call, so nothing can have told that it was done with the object"
                                : "lock, which it must do before the lock may go");
}
