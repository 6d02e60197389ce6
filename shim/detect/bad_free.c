/* Bad free: an object freed twice, or at an address that is not its start. */
#include "detect/detect.h"

void detect_double_free(struct finding *finding, const struct touch *touch,
                        const struct object *object, const struct block *block)
{
    finding_start(finding, KIND_DOUBLE_FREE, touch);
    if (object != NULL)
        finding_add_object(finding, object);
    else if (block != NULL)
        finding_add_block(finding, block);
    finding->can_continue = true; /* the second free is left out */
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s on ", touch->function);
    write_what(&text, finding);
    text_add(&text, finding->end.ticks == 0 ? "" : " ");
    write_when(&text, finding);
}

void detect_invalid_free(struct finding *finding, const struct touch *touch,
                         const struct object *object)
{
    finding_start(finding, KIND_INVALID_FREE, touch);
    finding_add_object(finding, object);
    finding->can_continue = true;
    finding->has_offset = true;
    finding->offset = touch->address - object->address;
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s on offset %ld of ", touch->function, (long)finding->offset);
    write_what(&text, finding);
    text_add(&text, ", which is not its start");
}
