/* Late thread: an object is destroyed while a thread that uses it goes on, or with nothing that has
 * ordered the two. Nothing has happened yet: these findings never stop the program. */
#include "base/clock.h"
#include "detect/detect.h"

static void write_sources(struct text *text, const struct use *use)
{
    text_format(text, "it was seen to use the object %u time%s", use->count,
                use->count == 1 ? "" : "s");
    if (use->function != NULL)
        text_format(text, ", by %s()", use->function);
}

static const char *way_name(enum late_way way)
{
    switch (way) {
    case LATE_WAY_ARGUMENT:
        return "its start argument is the object";
    case LATE_WAY_POINTED:
        return "what its start argument points to still points to the object";
    case LATE_WAY_STATIC:
        return "a pointer in static storage still points to the object";
    case LATE_WAY_FRAME:
        return "a register or a small frame of it still points to the object";
    case LATE_WAY_FRAME_POINTED:
        return "a live object that a register or a small frame of it points to still points to the "
               "object";
    default:
        return NULL;
    }
}

static void write_evidence(struct text *text, const struct late_thread *late)
{
    const char *way = way_name(late->way);
    write_sources(text, &late->use);
    if (late->rounds > 0)
        text_format(text, ", in %u rounds with a wait between them", late->rounds);
    if (late->asleep)
        text_add(text,
                 "; at the destruction it was asleep, for a time, where it sleeps between two "
                 "uses");
    if (way != NULL)
        text_format(text, "; %s", way);
    if (late->order == LATE_ORDER_BEFORE)
        text_add(
            text,
            "; a lock that both have had since its last use, or others between the two, may be "
            "how the destroyer knows that it is done, or chance");
    else if (late->order == LATE_ORDER_NONE)
        text_add(text, "; nothing seen orders its last use before the destruction");
}

void detect_late_thread(struct finding *finding, const struct late_thread *late)
{
    struct touch last = {.thread = late->thread, .address = late->object->address};
    if (!stack_get(late->use.stack, &last.stack) && late->use.caller != 0)
        last.stack = (struct stack){.count = 1, .frames = {late->use.caller}};
    finding_start(finding, KIND_LATE_THREAD, &last);
    finding_add_object(finding, late->object);
    finding->grade = late->imminent ? IMMINENT : POSSIBLE;
    finding->can_continue = true;
    finding->silent_if_shared = true;
    finding->touch.has = last.stack.count > 0;
    finding->touch.ticks = late->use.last_ticks;
    finding->other.has = stack_get(late->now, &finding->other.stack);
    finding->other.actor = finding->touch.actor;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " %s ", late->imminent ? "uses" : "has used");
    write_what(&text, finding);
    text_add(&text, late->imminent ? " in its rounds, and was in one when "
                    : late->ended  ? ", had ended by chance, and nobody had joined it, when "
                                   : ", and nothing had stopped it, when ");
    write_thread(&text, &finding->end.actor);
    text_add(&text, " destroyed the object");
    write_evidence(&evidence, late);
}
