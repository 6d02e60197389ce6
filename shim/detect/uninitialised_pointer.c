/* Uninitialised pointer: a word that operator new's caller never wrote was used as a pointer. */
#include "detect/detect.h"

void detect_uninitialised_pointer(struct finding *finding, const struct touch *touch,
                                  const struct object *object, uint64_t offset)
{
    finding_start(finding, KIND_UNINITIALISED_POINTER, touch);
    finding_add_object(finding, object);
    finding->has_offset = true;
    finding->offset = offset;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " %s the pointer at offset %lu of ",
                touch->access == ACCESS_FREE      ? "freed"
                : touch->access == ACCESS_DESTROY ? "entered a destructor with a wild `this`:"
                : touch->access == ACCESS_CALL    ? "called through"
                                                  : "followed",
                offset);
    write_what(&text, finding);
    text_add(&text, ", which was never initialised");
    text_add(&evidence, "the pointer is the 'uninitialised' poison that the object was born with");
    finding->cannot_reason = "the program cannot go on: the pointer has no value";
}
