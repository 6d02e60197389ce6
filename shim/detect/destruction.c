/* Destruction: a destructor that must not run, or that ran while others still used the object. */
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

void detect_touch_during_destruction(struct finding *finding, const struct destruction *ended,
                                     const struct object *object)
{
    struct touch touch = {.thread = thread_of_reference(ended->touch.thread)};
    (void)stack_get(ended->touch.stack, &touch.stack);
    finding_start(finding, KIND_TOUCH_DURING_DESTRUCTION, &touch);
    finding_add_object(finding, object);
    finding->touch.ticks = ended->touch.ticks;
    finding->end.has = stack_get(ended->stack, &finding->end.stack);
    finding->end.actor = actor_of_reference(ended->by);
    finding->end.ticks = ended->ticks;
    finding->destructor = ended->function;
    finding->can_continue = true;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " was in %s on ", ended->touch.function);
    write_what(&text, finding);
    text_add(&text, " while ");
    write_thread(&text, &finding->end.actor);
    text_add(&text, " ran its destructor");
    text_add(&evidence, "the destructor ended without a join of that thread, a wait or a lock that "
                        "could have ordered the two");
}
