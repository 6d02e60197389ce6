/* Picture: see picture.h. Called by render.c for crashes in the shutdown phase. */
#include "report/picture.h"

#include "base/clock.h"
#include "registry/phase.h"
#include "report/render.h"

#define THREADS_SHOWN 64
#define FRAMES_SHOWN 6
#define DESTROYED_SHOWN 12
#define RECENT_NANOSECONDS UINT64_C(1000000000)

static bool (*take_sample)(pid_t tid, struct stack *stack);

void picture_set_sampler(bool (*sampler)(pid_t tid, struct stack *stack))
{
    take_sample = sampler;
}

bool picture_sample(pid_t tid, struct stack *stack)
{
    return take_sample != NULL && take_sample(tid, stack);
}

static void write_what_it_does(struct text *text, const struct thread *thread,
                               const struct finding *finding)
{
    static struct stack stack;
    struct named_frame frames[NAMED_INLINED];
    if (!picture_sample(thread->tid, &stack)) {
        text_add(text, "        (its stack could not be read)\n");
        return;
    }
    write_members(text, thread, &stack, finding, "        ", "\n");
    size_t shown = 0;
    for (uint32_t i = 0; i < stack.count && shown < FRAMES_SHOWN; i++) {
        size_t count =
            names_of(stack.frames[i], i == 0 && stack.first_is_exact, frames, NAMED_INLINED);
        for (size_t j = 0; j < count && shown < FRAMES_SHOWN; j++) {
            if (frame_is_standard(&frames[j]))
                continue;
            text_format(text, "        #%zu ", shown++);
            write_place(text, &frames[j]);
            text_add(text, "\n");
        }
    }
}

static void write_threads(struct text *text, const struct finding *finding)
{
    uint32_t live = 0, shown = 0;
    for (uint32_t slot = 0; slot < thread_slots(); slot++)
        live += thread_slot(slot)->state == THREAD_RUNNING;
    text_format(text, "    %u threads live:\n", live);
    for (uint32_t slot = 0; slot < thread_slots() && shown < THREADS_SHOWN; slot++) {
        struct thread *thread = thread_slot(slot);
        if (thread->state != THREAD_RUNNING)
            continue;
        struct actor actor = actor_of(thread);
        thread_refresh_name(thread);
        shown++;
        text_add(text, "      ");
        write_actor(text, &actor);
        text_format(text, " (tid %d)%s", thread->tid,
                    thread->detached                   ? ", detached"
                    : thread->joining                  ? ", being joined"
                    : thread->origin == THREAD_CREATED ? ", joinable, not joined"
                                                       : "");
        if (thread->entry != NULL) {
            struct named_frame frames[NAMED_INLINED];
            names_of((uintptr_t)thread->entry, true, frames, NAMED_INLINED);
            text_add(text, ", entry ");
            write_place(text, &frames[0]);
        }
        if (thread->reference == finding->touch.actor.reference) {
            text_add(text, " <- this thread\n");
            continue;
        }
        text_add(text, "\n");
        write_what_it_does(text, thread, finding);
    }
    if (live > shown)
        text_format(text, "      and %u more\n", live - shown);
}

static void write_destroyed(struct text *text, const struct finding *finding)
{
    uint32_t found = 0;
    uint64_t now = finding->touch.ticks;
    text_add(text, "    destroyed in the last second (guarded objects):\n");
    for (uint32_t number = 1; number < OBJECTS; number++) {
        const struct object *object = object_of_number(number);
        if (object == NULL || atomic_load(&object->state) != OBJECT_DEAD ||
            object->end_ticks >= now ||
            clock_nanoseconds_between(object->end_ticks, now) > RECENT_NANOSECONDS)
            continue;
        if (++found > DESTROYED_SHOWN)
            continue;
        struct actor actor = actor_of_reference(object->end_thread);
        struct stack stack;
        text_format(text, "      %zu bytes from %s, ", object->size, origin_name(object->birth));
        write_milliseconds(text, clock_nanoseconds_between(object->end_ticks, now));
        text_add(text, " before, by ");
        write_actor(text, &actor);
        if (stack_get(object->end_stack, &stack)) {
            static struct named_stack named;
            named.count = 0;
            for (uint32_t i = 0; i < stack.count && i < 8; i++)
                named.count +=
                    names_of(stack.frames[i], false, named.frames + named.count, NAMED_INLINED);
            text_add(text, " in ");
            write_place(text, user_frame(&named));
        }
        text_add(text, "\n");
    }
    if (found == 0)
        text_add(text, "      none\n");
    if (found > DESTROYED_SHOWN)
        text_format(text, "      and %u more\n", found - DESTROYED_SHOWN);
}

void render_picture(struct text *text, const struct finding *finding)
{
    text_add(text, "  Life-cycle picture:\n    phase: ");
    if (phase_is_shutdown()) {
        struct actor actor = actor_of_reference(phase_thread());
        text_format(text, "shutdown, begun by %s in ", phase_sign());
        write_actor(text, &actor);
        text_add(text, ", ");
        write_milliseconds(text, clock_nanoseconds_between(phase_ticks(), finding->touch.ticks));
        text_add(text, " before\n");
    } else {
        text_add(text, "running\n");
    }
    write_threads(text, finding);
    write_destroyed(text, finding);
}
