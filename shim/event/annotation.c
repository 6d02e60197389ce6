/* Annotation events: see annotation.h. */
#include "event/annotation.h"
#include "event/internal.h"
#include "event/use.h"

#include "base/output.h"
#include "registry/annotated_object.h"
#include "registry/need.h"

#include <errno.h>

bool event_annotation_start(void)
{
    if (annotated_object_start())
        return true;
    output_tell_once("no memory for annotated objects: annotations are not seen", NULL);
    return false;
}

void event_annotated_born(const void *address, size_t size, const char *name, struct caller caller)
{
    int saved = errno;
    if (!guard_enter()) {
        annotated_object_missed((uintptr_t)address);
        return;
    }
    (void)thread_current();
    if (!annotated_object_born((uintptr_t)address, size, name, caller)) {
        annotated_object_missed((uintptr_t)address);
        output_tell_once("too many annotated objects live: further ones are not known", NULL);
    }
    guard_leave();
    errno = saved;
}

static void capture(struct touch *touch, const void *address, const char *function,
                    struct caller caller)
{
    *touch =
        (struct touch){.thread = guard.thread, .address = (uintptr_t)address, .function = function};
    if (guard.thread != NULL && guard.thread->tid != 0)
        thread_refresh_name(guard.thread);
    stack_capture(&touch->stack, caller);
}

static void tell_need(const struct need *need, const struct annotated_object *annotated,
                      const struct object *guarded, const struct touch *end)
{
    struct thread *thread = thread_of_reference(need->thread);
    struct stack now;
    struct finding finding;
    if (thread == NULL)
        return;
    report_prepare();
    thread_refresh_name(thread);
    if (!report_sample(thread->tid, &now))
        now.count = 0;
    detect_death_while_needed(&finding, thread, need, annotated, guarded, end, &now);
    report_and_go_on(&finding);
}

enum { NEEDS_MOST = 8 };

void tell_needs(struct object *object)
{
    struct need needs[NEEDS_MOST];
    size_t count = need_end(object->address, object->size, needs, NEEDS_MOST);
    for (size_t i = 0; i < count; i++)
        tell_need(&needs[i], NULL, object, NULL);
}

void event_annotated_died(const void *address, struct caller caller)
{
    int saved = errno;
    struct annotated_object object;
    struct need needs[NEEDS_MOST];
    if (!guard_enter())
        return;
    (void)thread_current();
    size_t count =
        annotated_object_died((uintptr_t)address, caller, &object) && atomic_load(&need_any)
            ? need_end(object.address, 1, needs, NEEDS_MOST)
            : 0;
    for (size_t i = 0; i < count; i++) {
        struct touch end;
        capture(&end, address, "outlive_died", caller);
        tell_need(&needs[i], &object, arena_live(address), &end);
    }
    guard_leave();
    errno = saved;
}

static void touch_dead(const void *address, struct caller caller)
{
    struct annotated_object object;
    struct touch touch;
    struct finding finding;
    (void)thread_current();
    if (!annotated_object_is_dead((uintptr_t)address, &object))
        return;
    report_prepare();
    capture(&touch, address, "outlive_touched", caller);
    detect_use_after_death(&finding, &touch, &object, arena_live(address));
    report_and_go_on(&finding);
}

void event_annotated_touched(const void *address, struct caller caller)
{
    event_touched(address, USE_ANNOTATION, "outlive_touched", caller);
    if (__builtin_expect(!annotated_object_seems_dead((uintptr_t)address), 1) || !guard_enter())
        return;
    int saved = errno;
    touch_dead(address, caller);
    guard_leave();
    errno = saved;
}

void event_annotated_shutdown(const char *name)
{
    static char sign[ANNOTATION_NAME_SIZE + 16];
    char copy[ANNOTATION_NAME_SIZE];
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    /* Of the sign of another shutdown's begin only the first counts. */
    if (!guard_active || atomic_flag_test_and_set(&taken))
        return;
    struct text text = text_in(sign, sizeof sign);
    text_add(&text, "annotation");
    annotation_copy_name(copy, name);
    if (copy[0] != '\0')
        text_format(&text, " '%s'", copy);
    event_shutdown(sign);
}

void event_annotated_need(const void *address, struct caller caller)
{
    int saved = errno;
    struct annotated_object annotated;
    if (!guard_enter())
        return;
    (void)thread_current();
    const struct object *guarded = arena_live(address);
    bool known = annotated_object_at((uintptr_t)address, &annotated) && annotated.lives > 0;
    bool fits = true;
    if (known)
        fits = need_add(annotated.address, annotated.size, caller);
    else if (guarded != NULL)
        fits = need_add(guarded->address, guarded->size, caller);
    guard_leave();
    if (!fits)
        output_tell_once("too many threads need objects: further needs are not known", NULL);
    event_touched(address, USE_ANNOTATION, "outlive_thread_needs", caller);
    errno = saved;
}

void event_annotated_handed_over(const void *address)
{
    struct object *object = arena_live(address);
    need_drop((uintptr_t)address);
    if (object != NULL)
        use_handed_over(object);
}

void event_annotated_ignore(bool begins)
{
    int saved = errno;
    if (guard.thread == NULL && guard_enter()) {
        (void)thread_current();
        guard_leave();
    }
    struct thread *thread = guard.thread;
    if (thread != NULL && begins)
        thread->ignoring++;
    else if (thread != NULL && thread->ignoring > 0)
        thread->ignoring--;
    errno = saved;
}
