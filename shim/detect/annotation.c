/* Annotation: what the program tells of its objects is wrong: one is used after it was told dead,
 * or told dead while a thread needs it. */
#include "detect/detect.h"

#include "base/clock.h"

static void add_annotated(struct finding *finding, const struct annotated_object *object)
{
    finding->has_object = true;
    finding->annotated = true;
    finding->address = object->address;
    finding->size = object->size;
    __builtin_memcpy(finding->name, object->name, sizeof finding->name);
    finding->birth.has = stack_get(object->birth_stack, &finding->birth.stack);
    finding->birth.actor = actor_of_reference(object->birth_thread);
    finding->birth.ticks = object->birth_ticks;
    if (finding->birth.has)
        finding->birth_site = finding->birth.stack.frames[0];
    if (object->lives > 0)
        return;
    finding->end.has = stack_get(object->end_stack, &finding->end.stack);
    finding->end.actor = actor_of_reference(object->end_thread);
    finding->end.ticks = object->end_ticks;
    finding->ended_in = handler_at(&finding->end);
}

/* The heap object that it lies in. */
static void write_around(struct text *text, const struct finding *finding,
                         const struct object *guarded)
{
    if (guarded != NULL)
        text_format(text, "; it lies at offset %lu of a %zu-byte object from %s",
                    finding->address - guarded->address, guarded->size,
                    origin_name(guarded->birth));
}

void detect_use_after_death(struct finding *finding, const struct touch *touch,
                            const struct annotated_object *object, const struct object *guarded)
{
    finding_start(finding, KIND_USE_AFTER_DEATH, touch);
    add_annotated(finding, object);
    finding->can_continue = true;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " told a touch of ");
    write_what(&text, finding);
    text_add_char(&text, ' ');
    write_when(&text, finding);
    text_format(&evidence,
                "%s() was called with address 0x%lx, whose object outlive_died() had ended; no "
                "birth was told there since",
                touch->function, touch->address);
    write_around(&evidence, finding, guarded);
}

void detect_death_while_needed(struct finding *finding, const struct thread *thread,
                               const struct need *need, const struct annotated_object *object,
                               const struct object *guarded, const struct touch *end,
                               const struct stack *now)
{
    struct touch touch = {.thread = thread};
    (void)stack_get(need->stack, &touch.stack);
    finding_start(finding, KIND_DEATH_WHILE_NEEDED, &touch);
    if (object != NULL)
        add_annotated(finding, object);
    else
        finding_add_object(finding, guarded);
    if (end != NULL)
        finding->end =
            (struct moment){true, actor_of(end->thread), finding->touch.ticks, end->stack};
    if (now->count > 0)
        finding->other = (struct moment){true, finding->touch.actor, finding->touch.ticks, *now};
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " needs ");
    write_what(&text, finding);
    text_add(&text, ", which ");
    write_thread(&text, &finding->end.actor);
    text_add(&text, object != NULL ? " tells dead" : " frees");
    text_format(
        &evidence,
        "the thread told it by outlive_thread_needs() %lu us ago, has not handed the object "
        "over, and is alive",
        clock_nanoseconds_between(need->ticks, finding->touch.ticks) / 1000);
    if (object != NULL)
        write_around(&evidence, finding, guarded);
}
