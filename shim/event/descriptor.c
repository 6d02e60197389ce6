/* Descriptor events: see descriptor.h. */
#include "event/descriptor_internal.h"

#include "base/clock.h"
#include "base/output.h"
#include "base/system.h"
#include "registry/descriptor_quarantine.h"
#include "registry/phase.h"

#include <limits.h>

static pid_t own_process;
static bool forks_alone;
static _Atomic bool children_share; /* some child may share, or have shared, our memory */

bool descriptor_events_start(const struct options *options)
{
    own_process = system_process();
    if (!descriptor_start() || !held_start()) {
        descriptor_count = 0;
        output_tell_once("no memory for the table of descriptors: they are not watched", NULL);
        return false;
    }
    descriptor_quarantine_start(options->descriptor_quarantine);
    return true;
}

void descriptor_events_prepare_fork(void)
{
    uint32_t running = 0;
    for (uint32_t slot = 0; slot < thread_slots() && running < 2; slot++)
        running += thread_slot(slot)->state == THREAD_RUNNING;
    forks_alone = running < 2;
}

/* Another thread may have been unwinding, and its locks in libunwind stay taken in the child:
 * which, before exec, does little but close what it inherited. */
void descriptor_events_forked(void)
{
    own_process = system_process();
    atomic_store(&children_share, false);
    descriptor_forked();
    held_forked();
    if (!forks_alone)
        descriptor_count = 0;
}

void event_sharing_child(void)
{
    atomic_store(&children_share, true);
}

static bool is_us(void)
{
    return !atomic_load_explicit(&children_share, memory_order_relaxed) ||
           system_process() == own_process;
}

/* Where a signal handler interrupted the shim nothing can be kept: the number is unknown then. */
bool descriptor_enter(int number)
{
    if (!descriptor_in_range(number) || !guard_active || !is_us())
        return false;
    if (!guard_enter()) {
        if (!descriptor_is_kept(number))
            descriptor_forget(number);
        return false;
    }
    (void)thread_current();
    return true;
}

void capture_descriptor_touch(struct touch *touch, const char *function, struct caller caller)
{
    *touch =
        (struct touch){.thread = thread_current(), .access = ACCESS_SYSTEM, .function = function};
    if (touch->thread != NULL && touch->thread->tid != 0)
        thread_refresh_name((struct thread *)touch->thread);
    stack_capture(&touch->stack, caller);
}

void tell_descriptor(struct finding *finding)
{
    report_prepare();
    report_or_stop(finding);
    report_prepared();
}

static void born(int number, const char *how, bool replaced, struct caller caller)
{
    int saved = errno;
    if (!descriptor_enter(number))
        return;
    descriptor_quarantine_saw(number);
    if (replaced)
        descriptor_replaced(number, how, caller);
    else
        descriptor_born(number, how, caller);
    held_conclude(); /* a loop that closes all does not open */
    if (guard.block != NULL)
        guard.block->closes.caller = 0;
    guard_leave();
    errno = saved;
}

void event_opened(int number, const char *how, struct caller caller)
{
    born(number, how, false, caller);
}

void event_replaced(int number, const char *how, struct caller caller)
{
    born(number, how, true, caller);
}

bool event_descriptors_scarce(void)
{
    int saved = errno;
    if (!guard_active || !is_us() || !guard_enter())
        return false;
    bool any = descriptor_quarantine_empty();
    guard_leave();
    errno = saved;
    return any;
}

static bool lists_descriptors(const char *path)
{
    size_t length = text_length(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length < 3 || path[length - 3] != '/' || path[length - 2] != 'f' || path[length - 1] != 'd')
        return false;
    return text_begins(path, "/proc/") || text_begins(path, "/dev/fd");
}

void event_opening_path(const char *path)
{
    if (__builtin_expect(path != NULL && path[0] == '/' && lists_descriptors(path), 0))
        (void)event_descriptors_scarce();
}

void event_opened_path(int number, const char *path)
{
    if (number < 0 || !descriptor_in_range(number) || path == NULL ||
        __builtin_expect(path[0] != '/' || !lists_descriptors(path), 1) ||
        !descriptor_enter(number))
        return;
    uint64_t word = descriptor_word(number);
    if (descriptor_state_of(word) == DESCRIPTOR_OPEN &&
        descriptor_set(number, word, DESCRIPTOR_LISTS))
        descriptor_quarantine_pause(true);
    guard_leave();
}

struct descriptor_touch descriptor_story(int number, const struct descriptor *descriptor)
{
    struct descriptor_touch story = {.number = number, .life = descriptor->now};
    if (descriptor->before.birth.how != NULL && descriptor->before.end.how != NULL) {
        story.other = descriptor->before.end;
        story.other_made = descriptor->before.birth.how;
    }
    return story;
}

/* A close of what is closed already. It waits in case it is one of a loop. */
static void second_close(int number, const char *how, struct caller caller)
{
    struct descriptor descriptor;
    if (!descriptor_read(number, &descriptor) ||
        descriptor_state_of(descriptor.word) != DESCRIPTOR_CLOSED)
        return;
    struct touch touch;
    struct finding finding;
    struct descriptor_touch story = descriptor_story(number, &descriptor);
    story.other = (struct descriptor_event){0};
    capture_descriptor_touch(&touch, how, caller);
    detect_double_close(&finding, &touch, &story);
    held_put_close(&finding);
}

/* Before its end: another thread waits for it, or a stream owns it. Returns flags for its record.
 */
static uint64_t look_before_close(int number, uint64_t word, const char *how, struct caller caller)
{
    struct touch touch;
    struct finding finding;
    const struct descriptor *entry = &descriptors[number];
    struct descriptor_touch story = {.number = number, .life = entry->now};
    uint64_t flags = 0;
    if (descriptor_find_user(number, word, &touch)) {
        story.life.end =
            (struct descriptor_event){how, clock_ticks(), stack_keep(caller),
                                      guard.thread == NULL ? 0 : guard.thread->reference};
        detect_close_while_in_use(&finding, &touch, &story);
        held_put_close(&finding);
        flags = DESCRIPTOR_TOLD;
    }
    if (entry->now.stream != NULL && descriptor_word(number) == word) {
        story.life = entry->now;
        story.life.end = (struct descriptor_event){0};
        capture_descriptor_touch(&touch, how, caller);
        detect_stream_descriptor_closed(&finding, &touch, &story);
        held_put_close(&finding);
    }
    return flags;
}

void forget_closed(int first, int last, uint32_t stack)
{
    for (int number = first < last ? first : last; number <= (first < last ? last : first);
         number++) {
        uint64_t word = descriptor_in_range(number) ? descriptor_word(number) : 0;
        const struct descriptor_event *ended = &descriptors[number].now.end;
        if (descriptor_state_of(word) != DESCRIPTOR_CLOSED || ended->stack != stack ||
            guard.thread == NULL || ended->thread != guard.thread->reference)
            continue;
        descriptor_quarantine_release(number);
        descriptor_forget(number);
    }
}

static void note_close(int number, struct caller caller, enum close_target target)
{
    if (guard.block == NULL)
        return;
    struct close_run *run = &guard.block->closes;
    bool was_loop = close_run_is_loop(run);
    close_run_add(run, number, caller.address, target);
    if (__builtin_expect(close_run_is_loop(run), 0))
        forget_closed(was_loop ? number : run->first, number, stack_keep(caller));
}

/* False: another thread was first. */
static bool end(int number, uint64_t word, const char *how, uint64_t flags, struct caller caller,
                bool *kept)
{
    *kept = *kept && ((word & DESCRIPTOR_COLD) != 0 || phase_is_shutdown()) &&
            (word & DESCRIPTOR_LISTS) == 0 && descriptor_quarantine_takes(number);
    if (!descriptor_claim(number, word))
        return false;
    descriptor_end(number, how, caller, flags | (*kept ? DESCRIPTOR_KEPT : 0));
    if ((word & DESCRIPTOR_LISTS) != 0)
        descriptor_quarantine_pause(false);
    *kept = *kept && descriptor_quarantine_keep(number);
    return true;
}

static enum closing close_watched(int number, struct caller caller)
{
    held_before_close(number, caller);
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t word = descriptor_word(number);
        uint64_t flags;
        bool kept = true;
        switch (descriptor_state_of(word)) {
        case DESCRIPTOR_UNKNOWN:
            return CLOSING_UNSEEN;
        case DESCRIPTOR_CLOSED:
            if ((word & DESCRIPTOR_KEPT) == 0)
                return CLOSING_AGAIN;
            note_close(number, caller, CLOSE_SECOND);
            second_close(number, "close", caller);
            return CLOSING_REFUSED;
        case DESCRIPTOR_OPEN:
            flags = look_before_close(number, word, "close", caller);
            if (!end(number, word, "close", flags, caller, &kept))
                break;
            note_close(number, caller, CLOSE_LIVE);
            return kept ? CLOSING_DONE : CLOSING_ENDS;
        default:
            (void)system_call3(SYS_sched_yield, 0, 0, 0);
        }
    }
    descriptor_forget(number);
    return CLOSING_UNSEEN;
}

enum closing event_closing(int number, struct caller caller)
{
    int saved = errno;
    if (!descriptor_enter(number))
        return descriptor_is_kept(number) && is_us() ? CLOSING_REFUSED : CLOSING_UNSEEN;
    enum closing closing = close_watched(number, caller);
    guard_leave();
    errno = saved;
    return closing;
}

void event_closed_slow(int number, enum closing closing, bool ok, struct caller caller)
{
    int saved = errno;
    bool unopened = !ok && errno == EBADF;
    if ((closing == CLOSING_ENDS && !unopened) || !descriptor_enter(number))
        return;
    uint64_t word = descriptor_word(number);
    bool closed = descriptor_state_of(word) == DESCRIPTOR_CLOSED;
    if (closing == CLOSING_UNSEEN) {
        note_close(number, caller, unopened ? CLOSE_UNOPENED : CLOSE_LIVE);
    } else if (closing == CLOSING_AGAIN && unopened && closed) {
        note_close(number, caller, CLOSE_SECOND);
        second_close(number, "close", caller);
    } else if (closed) {
        descriptor_forget(number); /* it was closed, or opened, unseen */
    }
    guard_leave();
    errno = saved;
}

/* More in turn are a loop over all numbers (registry/close_run.h), as by close(). */
#define RANGE_OWNED 3

/* To the last number is not to close what one owns: those who do may still try. */
void event_closing_range(unsigned first, unsigned last, const char *how, struct caller caller)
{
    int saved = errno;
    bool all = last >= INT_MAX, owned = last - first < RANGE_OWNED;
    for (unsigned at = first; at <= last && at < descriptor_top(); at++) {
        bool kept = false;
        uint64_t word = descriptor_in_range((int)at) ? descriptor_word((int)at) : 0;
        if (descriptor_state_of(word) == DESCRIPTOR_UNKNOWN || !descriptor_enter((int)at))
            continue;
        if (descriptor_is_kept((int)at))
            descriptor_quarantine_yield((int)at);
        if (all) {
            descriptor_forget((int)at);
        } else if (descriptor_state_of(word) == DESCRIPTOR_OPEN) {
            uint64_t flags = owned ? look_before_close((int)at, word, how, caller) : 0;
            (void)end((int)at, word, how, flags, caller, &kept);
        }
        guard_leave();
    }
    errno = saved;
}

bool event_replacing(int number)
{
    int saved = errno;
    if (!descriptor_in_range(number) ||
        descriptor_state_of(descriptor_word(number)) != DESCRIPTOR_CLOSED ||
        !descriptor_enter(number))
        return false;
    bool kept = descriptor_is_kept(number);
    descriptor_quarantine_yield(number);
    guard_leave();
    errno = saved;
    return kept;
}

bool event_is_kept_slow(int number)
{
    return descriptor_is_kept(number) && is_us();
}

void event_stream_opened(int number, const void *stream)
{
    if (stream == NULL || !descriptor_enter(number))
        return;
    descriptor_set_stream(number, stream);
    guard_leave();
}

/* Its number was closed underneath, and is closed still, or another descriptor's by now. */
static bool stream_is_late(int number, const void *stream, struct descriptor_touch *story)
{
    struct descriptor descriptor;
    if (!descriptor_read(number, &descriptor))
        return false;
    enum descriptor_state state = descriptor_state_of(descriptor.word);
    *story = (struct descriptor_touch){.number = number};
    if (state == DESCRIPTOR_CLOSED && descriptor.now.stream == stream &&
        ((descriptor.word & DESCRIPTOR_KEPT) != 0 || !descriptor_is_open(number))) {
        story->life = descriptor.now;
        return true;
    }
    if (state == DESCRIPTOR_OPEN && descriptor.now.stream != stream &&
        descriptor.before.stream == stream && descriptor.before.end.how != NULL &&
        descriptor_is_open(number)) {
        story->life = descriptor.before;
        story->other = descriptor.now.birth;
        return true;
    }
    return false;
}

bool event_stream_closing(int number, const void *stream, const char *how, struct caller caller)
{
    int saved = errno;
    bool refused = false;
    if (stream == NULL || !descriptor_enter(number))
        return false;
    held_conclude();
    struct descriptor_touch story;
    if (stream_is_late(number, stream, &story)) {
        struct touch touch;
        struct finding finding;
        capture_descriptor_touch(&touch, how, caller);
        detect_double_close(&finding, &touch, &story);
        tell_descriptor(&finding);
        refused = descriptor_is_kept(number);
        if (refused)
            descriptor_quarantine_yield(number); /* the stream's own close takes the stand-in */
    }
    uint64_t word = descriptor_word(number);
    bool kept = false;
    uint64_t flags = 0;
    struct touch touch;
    if (descriptor_state_of(word) == DESCRIPTOR_OPEN) {
        if (descriptor_find_user(number, word, &touch)) {
            struct finding finding;
            story = (struct descriptor_touch){.number = number, .life = descriptors[number].now};
            story.life.end =
                (struct descriptor_event){how, clock_ticks(), stack_keep(caller),
                                          guard.thread == NULL ? 0 : guard.thread->reference};
            detect_close_while_in_use(&finding, &touch, &story);
            tell_descriptor(&finding);
            flags = DESCRIPTOR_TOLD;
        }
        (void)end(number, word, how, flags, caller, &kept);
    }
    guard_leave();
    errno = saved;
    return refused;
}

void event_shut(int number)
{
    if (!descriptor_in_range(number) || !guard_active || !is_us())
        return;
    uint64_t word = descriptor_word(number);
    if (descriptor_state_of(word) == DESCRIPTOR_OPEN)
        (void)descriptor_set(number, word, DESCRIPTOR_SHUT);
}
