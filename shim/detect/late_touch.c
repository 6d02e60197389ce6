/* Late touch: a thread uses an object after its destruction. By another thread than the destroyer
 * it is a late-touch, by the destroyer itself a use-after-free. */
#include "detect/detect.h"

void write_access(struct text *text, const struct finding *finding, const struct touch *touch,
                  bool by_pointer)
{
    write_thread(text, &finding->touch.actor);
    switch (touch->access) {
    case ACCESS_CALL:
        text_add(text, " called through");
        break;
    case ACCESS_LOCK:
        text_format(text, " entered %s() on", touch->function);
        break;
    case ACCESS_DESTROY:
        text_add(text, " entered a destructor with a wild `this`: a pointer found at");
        break;
    case ACCESS_MEMBER:
        text_add(text, " entered a member function on");
        break;
    case ACCESS_SYSTEM:
        text_format(text, " handed %s()", touch->function);
        break;
    case ACCESS_WRITE:
        text_add(text, by_pointer ? " wrote through a pointer found at" : " wrote to");
        break;
    default:
        text_add(text, by_pointer ? " followed a pointer found at" : " read");
        break;
    }
    if (finding->has_offset)
        text_format(text, " offset %lu of", finding->offset);
    text_add_char(text, ' ');
    write_what(text, finding);
    text_add(text, finding->end.ticks == 0 ? "" : " ");
    write_when(text, finding);
}

static enum kind kind_of(const struct touch *touch, thread_reference destroyer)
{
    bool itself = touch->thread != NULL && touch->thread->reference == destroyer;
    return itself ? KIND_USE_AFTER_FREE : KIND_LATE_TOUCH;
}

void detect_dead_object(struct finding *finding, const struct touch *touch,
                        const struct object *object)
{
    finding_start(finding, kind_of(touch, object == NULL ? 0 : object->end_thread), touch);
    if (object != NULL) {
        finding_add_object(finding, object);
        finding->has_offset = touch->address >= object->address;
        finding->offset = touch->address - object->address;
    }
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_access(&text, finding, touch, false);
    if (touch->access == ACCESS_SYSTEM)
        text_format(&evidence,
                    "%s() was given address 0x%lx, which was taken away when the object "
                    "was destroyed and not handed out since",
                    touch->function, touch->address);
    else if (touch->access == ACCESS_LOCK)
        text_format(&evidence,
                    "the lock lies in memory that was taken away when the object was "
                    "destroyed; the real %s() was not entered",
                    touch->function);
    else if (touch->access == ACCESS_MEMBER)
        text_format(&evidence,
                    "`this` is 0x%lx, which was taken away when the object was destroyed and not "
                    "handed out since",
                    touch->address);
    else
        text_format(&evidence,
                    "access to address 0x%lx trapped: the memory was taken away when "
                    "the object was destroyed and not handed out since",
                    touch->address);
}

void detect_freed_block(struct finding *finding, const struct touch *touch,
                        const struct block *block, uint64_t offset)
{
    finding_start(finding, kind_of(touch, block->end_thread), touch);
    finding_add_block(finding, block);
    finding->has_offset = true;
    finding->offset = offset;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    bool by_pointer = touch->access == ACCESS_READ || touch->access == ACCESS_WRITE;
    write_access(&text, finding, touch, by_pointer);
    if (touch->access == ACCESS_LOCK)
        text_format(&evidence,
                    "the lock holds the poison of a freed block that was not handed out "
                    "since; the real %s() was not entered",
                    touch->function);
    else if (touch->access == ACCESS_MEMBER)
        text_format(
            &evidence,
            "`this` is 0x%lx, where the poison of a freed block still stands, which was not "
            "handed out since",
            touch->address);
    else if (touch->access == ACCESS_SYSTEM)
        text_add(&evidence, "the buffer holds the poison of a freed block that was not handed out "
                            "since");
    else
        text_format(&evidence,
                    "the pointer is the poison that was written to offset %lu when the "
                    "block was freed; the block was not handed out since",
                    offset);
    finding->cannot_reason = "the program cannot go on: the pointer itself is poison, what it was "
                             "before is gone";
}
