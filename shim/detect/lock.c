/* Lock: mutexes, condition variables and the like that are destroyed while others use them, used
 * after they were destroyed, or held by a thread that ends. */
#include "detect/detect.h"

#include "base/clock.h"
#include "registry/destroyed_lock.h"
#include "registry/held_lock.h"

static void start(struct finding *finding, enum kind kind, const struct touch *touch,
                  enum lock_sort sort, uintptr_t address, const struct object *object)
{
    finding_start(finding, kind, touch);
    finding->can_continue = true; /* the program meets what it would meet bare */
    finding->lock = lock_sort_name(sort);
    finding->lock_address = address;
    if (object == NULL)
        return;
    finding_add_object(finding, object);
    finding->has_offset = true;
    finding->offset = address - object->address;
}

/* 'the mutex', 'the mutex at offset 8 of a 64-byte object from new' */
static void write_lock(struct text *text, const struct finding *finding)
{
    text_format(text, "the %s at ", finding->lock);
    if (!finding->has_object) {
        text_format(text, "0x%lx", finding->lock_address);
        return;
    }
    text_format(text, "offset %lu of ", finding->offset);
    write_what(text, finding);
}

void detect_use_after_destroy(struct finding *finding, const struct touch *touch,
                              const struct destroyed_lock *lock, const struct object *object)
{
    start(finding, KIND_USE_AFTER_DESTROY, touch, lock->sort, lock->address, object);
    finding->end.has = stack_get(lock->stack, &finding->end.stack);
    finding->end.actor = actor_of_reference(lock->thread);
    finding->end.ticks = lock->ticks;
    finding->ended_in = handler_at(&finding->end);
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " called %s() on ", touch->function);
    write_lock(&text, finding);
    text_add(&text, " ");
    write_when(&text, finding);
    text_format(&evidence,
                "%s() ended it, and nothing was written there since that would make it anew; the "
                "real %s() was not entered",
                lock->function, touch->function);
}

void detect_destroy_while_in_use(struct finding *finding, const struct lock_use *use,
                                 const struct touch *destroyer, const struct object *object)
{
    const struct touch user = {.thread = use->thread, .stack = use->stack};
    bool freed = object != NULL && atomic_load(&object->state) != OBJECT_LIVE;
    start(finding, KIND_DESTROY_WHILE_IN_USE, &user, use->sort, use->address, object);
    finding->touch.has = use->stack.count > 0;
    if (use->now.count > 0)
        finding->other =
            (struct moment){true, finding->touch.actor, finding->touch.ticks, use->now};
    if (!freed) {
        finding->end = (struct moment){true, actor_of(destroyer->thread), finding->touch.ticks,
                                       destroyer->stack};
        finding->ended_in = handler_at(&finding->end);
    }
    bool itself = use->thread == destroyer->thread;
    if (itself)
        finding->grade = POSSIBLE;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    if (use->holds)
        text_add(&text, " holds ");
    else
        text_format(&text, " waits in %s() for ", use->wait.function);
    write_lock(&text, finding);
    if (!freed && destroyer->address != use->address)
        text_format(&text, " with the mutex at 0x%lx", destroyer->address);
    text_add(&text, ", which ");
    if (itself)
        text_add(&text, "it");
    else
        write_thread(&text, &finding->end.actor);
    if (freed)
        text_add(&text, " frees");
    else
        text_format(&text, " destroys with %s()", destroyer->function);
    if (!use->holds)
        text_add(&evidence, "the kernel has the thread asleep in that call, so nobody has told it");
    else if (use->sort == LOCK_MUTEX)
        text_format(&evidence, "the mutex is locked, and names thread id %d as its owner",
                    use->thread->tid);
    else
        text_format(&evidence, "the %s is locked, and the thread took it and has not released it",
                    finding->lock);
}

void detect_lock_held_at_end(struct finding *finding, const struct lock_use *use,
                             const struct object *object)
{
    static const char *const endings[] = {
        [THREAD_RETURNED] = "returned from its start routine",
        [THREAD_EXITED] = "ended with pthread_exit()",
        [THREAD_CANCELLED] = "was cancelled",
    };
    const struct touch touch = {.thread = use->thread, .stack = use->stack};
    bool known = use->sort == LOCK_MUTEX || held_lock_how(&use->held) == HELD_WRITE;
    start(finding, KIND_LOCK_HELD_AT_END, &touch, use->sort, use->address, object);
    if (!known)
        finding->grade = POSSIBLE;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " %s and still holds ", endings[use->thread->ending]);
    write_lock(&text, finding);
    if (known)
        text_format(&evidence, "the %s names thread id %d, which ends now, as its owner",
                    finding->lock, use->thread->tid);
    else
        text_format(&evidence,
                    "the thread took the %s and has not released it; it is locked, and does not "
                    "tell by whom",
                    finding->lock);
}
