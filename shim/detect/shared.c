/* Shared: what all detectors say in the same way. */
#include "base/clock.h"
#include "detect/detect.h"
#include "registry/site.h"

void finding_start(struct finding *finding, enum kind kind, const struct touch *touch)
{
    __builtin_memset(finding, 0, sizeof *finding);
    finding->kind = kind;
    finding->grade = kind_rows[kind].grade;
    finding->touch.has = true;
    finding->touch.actor = actor_of(touch->thread);
    finding->touch.ticks = clock_ticks();
    finding->touch.stack = touch->stack;
    const struct thread *thread = touch->thread;
    if (thread != NULL && thread->start_stack != 0) {
        finding->start.has = stack_get(thread->start_stack, &finding->start.stack);
        finding->start.actor = actor_of_reference(thread->creator);
        finding->start.ticks = thread->start_ticks;
    }
}

struct in_handler handler_at(const struct moment *moment)
{
    const struct exit_handler *handler = exit_handler_at(moment->actor.reference, moment->ticks);
    if (handler == NULL)
        return (struct in_handler){0};
    /* While it runs, symbols may not have been asked yet. */
    return (struct in_handler){handler->function,
                               handler->sort == EXIT_FUNCTION_PLAIN ? 0 : handler->argument,
                               atomic_load(&handler->state) == EXIT_HANDLER_ENDED};
}

void finding_add_object(struct finding *finding, const struct object *object)
{
    finding->has_object = true;
    finding->guarded = true;
    finding->address = object->address;
    finding->size = object->size;
    finding->origin = object->birth;
    finding->end_origin = object->end;
    finding->first_word = object->first_word;
    finding->destructor = object->destructor;
    struct stack site;
    if (site_frames(object->site, &site))
        finding->birth_site = site.frames[0];
    finding->birth.has = stack_get(object->birth_stack, &finding->birth.stack);
    finding->birth.actor = actor_of_reference(object->birth_thread);
    finding->birth.ticks = object->birth_ticks;
    if (atomic_load(&object->state) == OBJECT_LIVE)
        return;
    finding->end.has = stack_get(object->end_stack, &finding->end.stack);
    finding->end.actor = actor_of_reference(object->end_thread);
    finding->end.ticks = object->end_ticks;
    finding->ended_in = handler_at(&finding->end);
}

void finding_add_block(struct finding *finding, const struct block *block)
{
    finding->has_object = true;
    finding->address = block->address;
    finding->size = block->size;
    finding->size_is_usable = true;
    finding->end_origin = (enum origin)block->end;
    finding->end.has = block->in_shutdown ? stack_get(block->where, &finding->end.stack)
                                          : site_frames(block->where, &finding->end.stack);
    finding->end.actor = actor_of_reference(block->end_thread);
    finding->end.ticks = block->end_ticks;
    finding->ended_in = handler_at(&finding->end);
}

struct text sentence_of(struct finding *finding)
{
    return text_in(finding->sentence, sizeof finding->sentence);
}

struct text evidence_of(struct finding *finding)
{
    return text_in(finding->evidence, sizeof finding->evidence);
}

void write_thread(struct text *text, const struct actor *actor)
{
    if (actor->reference == 0)
        text_add(text, "an unknown thread");
    else if (actor->name[0] == '\0' && actor->tid == 0)
        text_add(text, "a thread that ended long ago");
    else
        text_format(text, "thread T%u '%s'", actor->serial, actor->name);
}

void write_what(struct text *text, const struct finding *finding)
{
    if (finding->has_descriptor) {
        text_format(text, "descriptor %d", finding->number);
        if (finding->made != NULL)
            text_format(text, " from %s()", finding->made);
        return;
    }
    if (finding->part != THREAD_PART_NONE) {
        text_add(text, finding->part == THREAD_PART_FRAMES   ? "the stack of "
                       : finding->part == THREAD_PART_LOCALS ? "thread-local storage of "
                                                             : "the pthread_t record of ");
        write_thread(text, &finding->end.actor);
        return;
    }
    if (!finding->has_object)
        text_add(text, "an object destroyed long ago (its history was dropped)");
    else if (finding->is_static)
        text_add_char(text, FINDING_OBJECT_NAME);
    else if (finding->guarded)
        text_format(text, "a %zu-byte object from %s", finding->size, origin_name(finding->origin));
    else
        text_format(text, "a freed block of %zu usable bytes", finding->size);
}

void write_when(struct text *text, const struct finding *finding)
{
    if (finding->end.ticks == 0)
        return;
    uint64_t microseconds =
        clock_nanoseconds_between(finding->end.ticks, finding->touch.ticks) / 1000;
    if (microseconds >= 10000)
        text_format(text, "%lu ms after ", microseconds / 1000);
    else if (microseconds >= 1000)
        text_format(text, "%lu.%lu ms after ", microseconds / 1000, microseconds % 1000 / 100);
    else
        text_format(text, "%lu us after ", microseconds);
    if (finding->part != THREAD_PART_NONE) {
        text_format(text, "that thread had ended%s", thread_ending_words(finding->ending));
        return;
    }
    const char *ended = finding->has_descriptor    ? "closed"
                        : finding->library != NULL ? "unloaded"
                                                   : "destroyed";
    if (finding->end.actor.reference == finding->touch.actor.reference)
        text_format(text, "it had %s it itself", ended);
    else {
        write_thread(text, &finding->end.actor);
        text_format(text, " had %s it", ended);
    }
    if (finding->is_static)
        text_add(text, " at exit");
    if (finding->ended_in.function != 0)
        text_add_char(text, FINDING_HANDLER_NAME);
}
