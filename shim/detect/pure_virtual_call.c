/* Pure virtual call: a virtual function was called while only the abstract base of the object
 * existed: before its constructor was done, or after its destructor had begun. */
#include "detect/detect.h"

void detect_pure_virtual_call(struct finding *finding, const struct touch *touch,
                              const struct object *object, const void *self)
{
    finding_start(finding, KIND_PURE_VIRTUAL_CALL, touch);
    if (object != NULL) {
        finding_add_object(finding, object);
        finding->has_offset = true;
        finding->offset = (uintptr_t)self - object->address;
        finding->first_word = *(const uint64_t *)object->address;
    }
    finding->with_picture = true;
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " called a pure virtual function");
    if (object != NULL) {
        text_add(&text, " of ");
        write_what(&text, finding);
    }
    text_add(&text, ", whose destructor has begun or whose constructor has not ended");
    finding->cannot_reason = "the program cannot go on: there is no function to call";
}
