/* Descriptor: numbers of file descriptors that are closed twice, used after their close, or closed
 * while others use them. */
#include "detect/detect.h"

static void fill(struct moment *moment, const struct descriptor_event *event)
{
    if (event->how == NULL)
        return;
    moment->has = stack_get(event->stack, &moment->stack);
    moment->actor = actor_of_reference(event->thread);
    moment->ticks = event->ticks;
}

/* One place that uses numbers, or ends them, is one bug, whoever made them. */
static uintptr_t site_of(const struct finding *finding)
{
    uintptr_t site = 0;
    for (uint32_t i = 0; i < 3 && i < finding->touch.stack.count; i++)
        site = site * 31 + finding->touch.stack.frames[i];
    for (uint32_t i = 0; i < 2 && finding->end.has && i < finding->end.stack.count; i++)
        site = site * 31 + finding->end.stack.frames[i];
    return site;
}

static void start(struct finding *finding, enum kind kind, const struct touch *touch,
                  const struct descriptor_touch *descriptor)
{
    finding_start(finding, kind, touch);
    finding->can_continue = true; /* the program sees the kernel's answer, as it would bare */
    finding->has_descriptor = true;
    finding->number = descriptor->number;
    finding->made = descriptor->life.birth.how;
    finding->closed = descriptor->life.end.how;
    fill(&finding->birth, &descriptor->life.birth);
    fill(&finding->end, &descriptor->life.end);
    fill(&finding->other, &descriptor->other);
    finding->birth_site = site_of(finding);
}

static void write_new_owner(struct text *text, const struct finding *finding,
                            const struct descriptor_touch *descriptor)
{
    text_format(text, "the descriptor from %s() that ", descriptor->other.how);
    write_thread(text, &finding->other.actor);
    text_add(text, " got since");
}

void detect_double_close(struct finding *finding, const struct touch *touch,
                         const struct descriptor_touch *descriptor)
{
    start(finding, KIND_DOUBLE_CLOSE, touch, descriptor);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s() on ", touch->function);
    write_what(&text, finding);
    text_add(&text, " ");
    write_when(&text, finding);
    if (descriptor->other.how != NULL) {
        text_add(&text, ": it closes ");
        write_new_owner(&text, finding, descriptor);
        text_format(&evidence,
                    "the stream still holds number %d, which was closed and then given out again",
                    descriptor->number);
    } else {
        text_format(&evidence,
                    "the kernel answers EBADF: number %d was closed with %s() and not opened since",
                    descriptor->number, descriptor->life.end.how);
    }
}

void detect_use_after_close(struct finding *finding, const struct touch *touch,
                            const struct descriptor_touch *descriptor, bool is_probe, bool aborted)
{
    start(finding, KIND_USE_AFTER_CLOSE, touch, descriptor);
    if (is_probe && !aborted)
        finding->grade = POSSIBLE;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s() on ", touch->function);
    write_what(&text, finding);
    text_add(&text, " ");
    write_when(&text, finding);
    text_format(&evidence, "%s() failed with EBADF", touch->function);
    if (aborted)
        text_add(&evidence, ", and the thread aborted because of it");
    else if (is_probe)
        text_add(&evidence, "; the thread may only have asked whether the number is open");
    else
        text_add(&evidence, "; the number was not opened again");
    if (descriptor->other.how == NULL)
        return;
    text_format(&evidence, "; the number had been that of a descriptor from %s(), which ",
                descriptor->other_made == NULL ? "an unknown call" : descriptor->other_made);
    write_thread(&evidence, &finding->other.actor);
    text_format(&evidence, " closed before %s() gave it out again", descriptor->life.birth.how);
}

void detect_reused_descriptor(struct finding *finding, const struct touch *touch,
                              const struct descriptor_touch *descriptor)
{
    start(finding, KIND_REUSED_DESCRIPTOR, touch, descriptor);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " was in %s() on ", touch->function);
    write_what(&text, finding);
    text_add(&text, " when ");
    if (finding->end.actor.reference == finding->touch.actor.reference)
        text_add(&text, "it was");
    else
        write_thread(&text, &finding->end.actor);
    text_format(&text, " closed it; before the call ended its number was that of ");
    write_new_owner(&text, finding, descriptor);
    text_add(&evidence,
             "the number's owner at the end of the call is not the one at its start, and "
             "nothing was shut down before the close");
}

void detect_close_while_in_use(struct finding *finding, const struct touch *touch,
                               const struct descriptor_touch *descriptor)
{
    start(finding, KIND_CLOSE_WHILE_IN_USE, touch, descriptor);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " waits in %s() on ", touch->function);
    write_what(&text, finding);
    text_add(&text, ", which ");
    write_thread(&text, &finding->end.actor);
    text_format(&text, " closes with %s()", descriptor->life.end.how);
    text_add(&evidence,
             "the kernel has the thread waiting in that call on that number; the close does "
             "not wake it, and its next call may meet another file");
}

void detect_stream_descriptor_closed(struct finding *finding, const struct touch *touch,
                                     const struct descriptor_touch *descriptor)
{
    start(finding, KIND_STREAM_DESCRIPTOR_CLOSED, touch, descriptor);
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " closes ");
    write_what(&text, finding);
    text_add(&text, " under its stream, which is still open");
}
