/* Unload: a library is unloaded while a thread is inside it, or while a function of it is still
 * registered to be called; and what comes of that. */
#include "detect/detect.h"

static const char *name_of(const struct library *library)
{
    const char *name = library->path;
    for (const char *at = library->path; *at != '\0'; at++)
        if (*at == '/')
            name = at + 1;
    return name;
}

static void fill(struct moment *moment, const struct library_event *event)
{
    if (event->ticks == 0)
        return;
    moment->has = stack_get(event->stack, &moment->stack);
    moment->actor = actor_of_reference(event->thread);
    moment->ticks = event->ticks;
}

static void add_library(struct finding *finding, const struct library *library)
{
    finding->library = library;
    fill(&finding->birth, &library->load);
    fill(&finding->end, &library->unload);
}

static void add_registered(struct finding *finding, const struct registered *registered)
{
    finding->function = registered->function;
    fill(&finding->other, &registered->by);
}

void detect_unload_while_in_use(struct finding *finding, const struct touch *touch,
                                const struct library *library, bool by_start)
{
    finding_start(finding, KIND_UNLOAD_WHILE_IN_USE, touch);
    add_library(finding, library);
    finding->can_continue = true;
    if (finding->end.has)
        finding->birth_site = finding->end.stack.frames[0] * 31 + touch->address;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " is inside %s, which ", name_of(library));
    if (finding->end.actor.reference == finding->touch.actor.reference)
        text_add(&text, "it");
    else
        write_thread(&text, &finding->end.actor);
    text_add(&text, " has unloaded");
    if (by_start)
        text_add(&evidence, "its start routine lies in the library and has not returned");
    else
        text_format(&evidence,
                    "it will go on at address 0x%lx, in the library, which is not there any more",
                    touch->address);
}

static void write_registered(struct text *text, const struct registered *registered)
{
    switch (registered->sort) {
    case REGISTERED_SIGNAL:
        text_format(text, "the handler of signal %u", registered->number);
        break;
    case REGISTERED_KEY:
        text_add(text, "the destructor of a key of thread-specific data");
        break;
    case REGISTERED_TIMER:
        text_add(text, "what a timer calls");
        break;
    default:
        text_add(text, "an exit handler");
        break;
    }
}

static const char *why_pending(const struct registered *registered)
{
    switch (registered->sort) {
    case REGISTERED_SIGNAL:
        return "the signal's handler was not changed back: the next one calls what is not there "
               "any more";
    case REGISTERED_TIMER:
        return "the timer is armed and was not deleted";
    case REGISTERED_EXIT:
        return "it was registered for another library, or for none, so dlclose did not call it, "
               "and "
               "exit will";
    default:
        return "the key was not deleted";
    }
}

void detect_unload_while_registered(struct finding *finding, const struct touch *touch,
                                    const struct library *library,
                                    const struct registered *registered)
{
    finding_start(finding, KIND_UNLOAD_WHILE_REGISTERED, touch);
    add_library(finding, library);
    add_registered(finding, registered);
    finding->end.has = false; /* it is the touch */
    finding->can_continue = true;
    finding->birth_site = registered->function;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " has unloaded %s, whose function %c is still ", name_of(library),
                FINDING_FUNCTION_NAME);
    write_registered(&text, registered);
    if (registered->holder != 0) {
        const struct actor holder = actor_of_reference(registered->holder);
        text_add(&evidence, "the key was not deleted, and ");
        write_thread(&evidence, &holder);
        text_add(&evidence, " holds a value under it: its end calls the destructor");
    } else {
        text_add(&evidence, why_pending(registered));
    }
}

void detect_use_after_unload(struct finding *finding, const struct touch *touch,
                             const struct library *library, const struct registered *registered,
                             bool mapped)
{
    bool code = touch->access == ACCESS_CALL;
    finding_start(finding, KIND_USE_AFTER_UNLOAD, touch);
    add_library(finding, library);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    if (code)
        text_format(&text, " ran code of %s ", name_of(library));
    else
        text_format(&text, " %s data of %s ", touch->access == ACCESS_WRITE ? "wrote to" : "read",
                    name_of(library));
    write_when(&text, finding);
    if (registered != NULL) {
        add_registered(finding, registered);
        text_format(&text, ": %c, ", FINDING_FUNCTION_NAME);
        write_registered(&text, registered);
    }
    text_format(&evidence,
                "%s address 0x%lx failed: it lies where the library was, and %s there now",
                code ? "running the code at" : "access to", touch->address,
                mapped ? "other data is" : "nothing is mapped");
    if (!code) { /* something else may have been there meanwhile */
        finding->grade = POSSIBLE;
        finding->can_continue = true;
        return;
    }
    finding->cannot_reason = "the program cannot go on: the library is not there any more";
}
