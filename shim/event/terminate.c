/* Terminate events: std::terminate was called with no exception in flight. The destructor and the
 * assignment of a std::thread do that where the object still stands for a thread; it is inlined and
 * passes nothing on. But it has just read the handle: the object is in a register or in the frames
 * of its caller, or pointed to from there. */
#include "event/event.h"
#include "event/internal.h"

#include "base/probe.h"

#define STACK_WORDS 192 /* of the callers' frames */
#define FOUND_MOST 8

struct search {
    struct thread *found[FOUND_MOST];
    uint32_t count;
};

static void look_at(struct search *search, uintptr_t word)
{
    if (word == 0)
        return;
    struct thread *thread = thread_of_handle((pthread_t)word);
    if (thread == NULL || thread->origin != THREAD_CREATED || thread->joined || thread->detached)
        return;
    for (uint32_t i = 0; i < search->count; i++)
        if (search->found[i] == thread)
            return;
    if (search->count < FOUND_MOST)
        search->found[search->count++] = thread;
}

static void look_through(struct search *search, uintptr_t word)
{
    uint64_t pointed;
    look_at(search, word);
    if (word % sizeof word == 0 && word > 65536 && probe_word((const void *)word, &pointed))
        look_at(search, pointed);
}

static void find(struct search *search, const uintptr_t *words, size_t count, uintptr_t frames)
{
    uint64_t word;
    for (size_t i = 0; i < count; i++)
        look_through(search, words[i]);
    for (size_t i = 0; i < STACK_WORDS; i++) {
        if (!probe_word((const void *)(frames + i * sizeof word), &word))
            return;
        look_through(search, word);
    }
}

void event_terminate(const uintptr_t *words, size_t count, struct caller caller)
{
    struct search search = {.count = 0};
    if (!guard_enter())
        return;
    find(&search, words, count, caller.slot + sizeof(uintptr_t));
    if (search.count > 0) {
        struct touch touch = {.thread = thread_current(), .function = "std::terminate"};
        struct finding finding;
        report_prepare();
        if (touch.thread != NULL && touch.thread->tid != 0)
            thread_refresh_name((struct thread *)touch.thread);
        struct thread owner = *search.found[0];
        if (owner.state == THREAD_RUNNING && owner.tid != 0)
            thread_refresh_name(&owner);
        stack_capture(&touch.stack, caller);
        detect_joinable_destroyed(&finding, &touch, &owner, search.count);
        (void)report_finding(&finding);
        crash_is_told();
        report_prepared();
    }
    guard_leave();
}
