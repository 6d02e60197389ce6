/* Descriptor use: calls on a descriptor that failed because it was closed, or that ended when the
 * number was another's. */
#include "event/descriptor_internal.h"

#include "base/clock.h"

/* A close is told before it is made: for a while the number still works. */
#define LONG_CLOSED_NANOSECONDS UINT64_C(10000000)

static thread_reference self(void)
{
    return guard.thread == NULL ? 0 : guard.thread->reference;
}

static void note_probe(int number, struct caller caller, enum close_target target)
{
    if (guard.block == NULL)
        return;
    struct close_run *questions = &guard.block->probes, *closes = &guard.block->closes;
    close_run_add(questions, number, caller.address, target);
    if (__builtin_expect(close_run_surrounds(questions, closes), 0)) {
        forget_closed(closes->first, closes->last, descriptors[closes->last].now.end.stack);
        closes->caller = 0;
    }
}

static void use_after_close(int number, const struct descriptor *descriptor, const char *function,
                            bool is_probe, struct caller caller)
{
    struct touch touch;
    struct finding finding;
    struct descriptor_touch story = descriptor_story(number, descriptor);
    if (is_probe)
        note_probe(number, caller, CLOSE_SECOND);
    capture_descriptor_touch(&touch, function, caller);
    if (is_probe) {
        bool silent = story.life.end.thread == self() || (descriptor->word & DESCRIPTOR_TOLD) != 0;
        held_put_probe(&touch, &story, silent);
        (void)descriptor_set(number, descriptor->word, DESCRIPTOR_TOLD);
        return;
    }
    detect_use_after_close(&finding, &touch, &story, false, false);
    tell_descriptor(&finding);
}

static void failed(int number, const char *function, bool is_probe, struct caller caller)
{
    struct descriptor descriptor;
    if (is_probe)
        held_before_probe(number, caller);
    else
        held_conclude();
    if (!descriptor_read(number, &descriptor))
        return;
    bool open = (descriptor.word & DESCRIPTOR_KEPT) == 0 && descriptor_is_open(number);
    switch (descriptor_state_of(descriptor.word)) {
    case DESCRIPTOR_CLOSED:
        if (!open)
            use_after_close(number, &descriptor, function, is_probe, caller);
        break;
    case DESCRIPTOR_OPEN: /* a call may also fail on a descriptor of the wrong kind */
        if (!open)
            descriptor_forget(number);
        break;
    default:
        if (is_probe && !open)
            note_probe(number, caller, CLOSE_UNOPENED);
    }
}

void event_use_failed(int number, const char *function, bool is_probe, struct caller caller)
{
    int saved = errno;
    if (!descriptor_enter(number))
        return;
    failed(number, function, is_probe, caller);
    guard_leave();
    errno = saved;
}

/* Where it was entered before the close, and that was told, this is but the rest of it: a signal
 * made the kernel begin the call anew. */
void event_use_ended_badly(const struct descriptor_use *use, const char *function,
                           struct caller caller)
{
    uint64_t now = descriptor_word(use->number);
    if ((now & DESCRIPTOR_TOLD) != 0 && descriptor_state_of(use->word) == DESCRIPTOR_OPEN &&
        descriptor_generation(now) == descriptor_generation(use->word))
        return;
    event_use_failed(use->number, function, false, caller);
}

static void changed(const struct descriptor_use *use, const char *function, struct caller caller)
{
    struct descriptor descriptor;
    if (!descriptor_read(use->number, &descriptor))
        return;
    enum descriptor_state before = descriptor_state_of(use->word),
                          now = descriptor_state_of(descriptor.word);
    uint64_t births = descriptor_generation(descriptor.word) - descriptor_generation(use->word);
    const struct descriptor_life *life = &descriptor.before;
    if (before == DESCRIPTOR_OPEN && now == DESCRIPTOR_OPEN && births == 1 &&
        life->end.how != NULL && !life->shut && life->end.thread != self()) {
        struct touch touch;
        struct finding finding;
        struct descriptor_touch story = {
            .number = use->number, .life = *life, .other = descriptor.now.birth};
        capture_descriptor_touch(&touch, function, caller);
        detect_reused_descriptor(&finding, &touch, &story);
        tell_descriptor(&finding);
    } else if (before == DESCRIPTOR_CLOSED && now == DESCRIPTOR_CLOSED && births == 0 &&
               (descriptor.word & DESCRIPTOR_KEPT) == 0 &&
               clock_nanoseconds_between(descriptor.now.end.ticks, clock_ticks()) >
                   LONG_CLOSED_NANOSECONDS &&
               descriptor_is_open(use->number)) {
        descriptor_forget(use->number); /* it was opened unseen */
    }
}

void event_use_changed(const struct descriptor_use *use, const char *function, struct caller caller)
{
    int saved = errno;
    if (!descriptor_enter(use->number))
        return;
    changed(use, function, caller);
    guard_leave();
    errno = saved;
}
