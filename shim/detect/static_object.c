/* Static object: an object of static storage is used after exit has destroyed it: by another thread
 * a late-touch, by the thread that goes through the exit handlers itself a use-after-destruction.
 */
#include "detect/detect.h"

static void add_object(struct finding *finding, const struct static_object *object)
{
    finding->has_object = true;
    finding->is_static = true;
    finding->address = object->address;
    finding->size = object->size;
    finding->destructor = object->destructor;
    finding->birth.has = stack_get(object->birth_stack, &finding->birth.stack);
    finding->birth.actor = actor_of_reference(object->birth_thread);
    finding->birth.ticks = object->birth_ticks;
    if (finding->birth.has)
        finding->birth_site = finding->birth.stack.frames[0];
    finding->end.has = stack_get(object->end_stack, &finding->end.stack);
    finding->end.actor = actor_of_reference(object->end_thread);
    finding->end.ticks = object->end_ticks;
}

static void write_evidence(struct text *text, const struct touch *touch,
                           const struct static_object *object, uint64_t offset, bool by_pointer)
{
    if (by_pointer)
        text_format(text,
                    "the pointer is the poison that was written to offset %lu when the destructor "
                    "had run; nothing was made in its place since",
                    offset);
    else if (touch->access == ACCESS_LOCK)
        text_format(text, "the lock lies in the object, whose destructor has run");
    else if (touch->access == ACCESS_SYSTEM)
        text_format(text, "the buffer lies in the object, whose destructor has run");
    else
        text_format(text,
                    "access to address 0x%lx trapped: the page, which holds nothing else, was "
                    "taken away when the destructor had run",
                    touch->address);
    if (!object->by_symbol)
        text_add(text, "; that it was one is guessed, since the symbols are stripped");
    else if (touch->access == ACCESS_WRITE && !by_pointer)
        text_add(text, "; the store may be the first of a new object in its place");
}

void detect_static_object(struct finding *finding, const struct touch *touch,
                          const struct static_object *object, uint64_t offset, bool by_pointer)
{
    bool itself = touch->thread != NULL && touch->thread->reference == object->end_thread;
    finding_start(finding, itself ? KIND_USE_AFTER_DESTRUCTION : KIND_LATE_TOUCH, touch);
    add_object(finding, object);
    finding->has_offset = true;
    finding->offset = offset;
    finding->can_continue = !by_pointer;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_access(&text, finding, touch,
                 by_pointer && (touch->access == ACCESS_READ || touch->access == ACCESS_WRITE));
    if (itself)
        finding->touched_in = handler_at(&finding->touch);
    if (finding->touched_in.function != 0)
        text_add_char(&text, FINDING_RUNNING_NAME);
    write_evidence(&evidence, touch, object, offset, by_pointer);
    if (by_pointer)
        finding->cannot_reason = "the program cannot go on: the pointer itself is poison, what it "
                                 "was before is gone";
}

void detect_static_destroyed_twice(struct finding *finding, const struct touch *touch,
                                   const struct static_object *object)
{
    finding_start(finding, KIND_DOUBLE_DESTRUCTION, touch);
    add_object(finding, object);
    finding->can_continue = true;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " entered a destructor on ");
    write_what(&text, finding);
    text_add_char(&text, ' ');
    write_when(&text, finding);
    text_format(&evidence, "`this` is 0x%lx, where its poison still stands", touch->address);
}
