/* Thread handle: a pthread_t that no longer, or never more, stands for what its user takes it for:
 * joined twice, joined or detached after it was detached, or used after its thread's end. */
#include "base/clock.h"
#include "detect/detect.h"

static void fill(struct moment *moment, uint32_t stack, thread_reference thread, uint64_t ticks)
{
    moment->has = stack_get(stack, &moment->stack);
    moment->actor = actor_of_reference(thread);
    moment->ticks = ticks;
}

/* One place that uses a handle after another is one bug, whichever thread's handle it was. */
static uintptr_t site_of(const struct finding *finding)
{
    uintptr_t site = 0;
    for (uint32_t i = 0; i < 3 && i < finding->touch.stack.count; i++)
        site = site * 31 + finding->touch.stack.frames[i];
    for (uint32_t i = 0; i < 2 && finding->end.has && i < finding->end.stack.count; i++)
        site = site * 31 + finding->end.stack.frames[i];
    return site;
}

void finding_add_thread(struct finding *finding, const struct thread *owner)
{
    finding->has_thread = true;
    finding->handle = (uintptr_t)owner->handle;
    finding->owner = actor_of(owner);
    finding->owner_ended = owner->state == THREAD_FINISHED ? owner->end_ticks : 0;
    fill(&finding->birth, owner->start_stack, owner->creator, owner->start_ticks);
}

static void write_owner(struct text *text, const struct finding *finding)
{
    write_thread(text, &finding->owner);
}

static const char *how_it_was_detached(const struct thread *owner)
{
    return owner->detached_ticks == 0 ? "had been created detached" : "had been detached";
}

void detect_thread_handle(struct finding *finding, enum kind kind, const struct touch *touch,
                          const struct thread *owner, bool at_once)
{
    finding_start(finding, kind, touch);
    finding_add_thread(finding, owner);
    finding->can_continue = true; /* a stale handle never reaches libc */
    bool joined = owner->joined || at_once;
    if (joined)
        fill(&finding->end, owner->join_stack, owner->joiner, at_once ? 0 : owner->joined_ticks);
    else if (owner->detached_ticks != 0)
        fill(&finding->end, owner->detach_stack, owner->detacher, owner->detached_ticks);
    finding->was_joined = joined;
    finding->birth_site = site_of(finding);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s() on ", touch->function);
    write_owner(&text, finding);
    if (at_once) {
        text_add(&text, ", which ");
        write_thread(&text, &finding->end.actor);
        text_add(&text, " is joining");
        text_add(&evidence, owner->joined ? "both calls returned 0"
                                          : "the kernel has that thread waiting in its join");
        return;
    }
    text_add(&text, ", which ");
    if (!joined) {
        text_add(&text, how_it_was_detached(owner));
        if (finding->owner_ended != 0)
            text_add(&text, " and has ended");
    } else if (finding->end.actor.reference == finding->touch.actor.reference) {
        text_add(&text, "it had joined itself");
    } else {
        write_thread(&text, &finding->end.actor);
        text_add(&text, " had joined");
    }
    if (finding->owner_ended == 0)
        text_add(&evidence, "the thread runs, so the handle is its own; nobody may join it or "
                            "detach it again");
    else
        text_format(&evidence,
                    "handle 0x%lx is no thread's: its last one ended, was %s, and no thread was "
                    "given it since",
                    finding->handle, joined ? "joined" : "detached");
}

void detect_thread_leak(struct finding *finding, const struct touch *noticed,
                        const struct thread *first, uint32_t count)
{
    finding_start(finding, KIND_THREAD_LEAK, noticed);
    finding->touch.has = false;
    finding->start.has = false;
    finding_add_thread(finding, first);
    finding->can_continue = true;
    if (finding->birth.has)
        finding->birth_site = finding->birth.stack.frames[0];
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    text_format(&text,
                "%u threads that were started in one place have ended and were neither joined nor "
                "detached",
                count);
    text_format(&evidence, "libc keeps the stack of each; the first was ");
    write_owner(&evidence, finding);
}
