/* Finding: see finding.h. */
#include "report/finding.h"

const struct kind_row kind_rows[KIND_COUNT] = {
#define KIND(identifier, name, grade, stops, evidence) {name, grade, stops, evidence},
#include "report/finding.def"
#undef KIND
};

const char *grade_name(enum grade grade)
{
    return grade == CONFIRMED ? "confirmed" : grade == IMMINENT ? "imminent" : "possible";
}

const char *thread_ending_words(enum thread_ending ending)
{
    return ending == THREAD_RETURNED ? " by return from its start function"
           : ending == THREAD_EXITED ? " by pthread_exit()"
                                     : " by cancellation";
}

struct actor actor_of(const struct thread *thread)
{
    struct actor actor = {0};
    if (thread != NULL) {
        actor.reference = thread->reference;
        actor.serial = thread->serial;
        actor.tid = thread->tid;
        __builtin_memcpy(actor.name, thread->name, sizeof actor.name);
    }
    return actor;
}

struct actor actor_of_reference(thread_reference reference)
{
    struct actor actor = actor_of(thread_of_reference(reference));
    actor.reference = reference; /* the record may be gone */
    return actor;
}
