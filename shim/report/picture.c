/* Picture: see picture.h. Called by render.c for findings of the shutdown phase. */
#include "report/picture.h"

#include "base/clock.h"
#include "base/system.h"
#include "registry/phase.h"
#include "registry/task.h"
#include "registry/touch.h"
#include "registry/wait.h"
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

static void write_frames(struct text *text, const struct stack *stack)
{
    struct named_frame frames[NAMED_INLINED];
    size_t shown = 0;
    for (uint32_t i = 0; i < stack->count && shown < FRAMES_SHOWN; i++) {
        size_t count =
            names_of(stack->frames[i], i == 0 && stack->first_is_exact, frames, NAMED_INLINED);
        for (size_t j = 0; j < count && shown < FRAMES_SHOWN; j++) {
            if (frame_is_standard(&frames[j]))
                continue;
            text_format(text, "        #%zu ", shown++);
            write_place(text, &frames[j]);
            text_add(text, "\n");
        }
    }
}

/* A thread in a wait that was noted with its stack is not asked: a signal would disturb it. Where
 * the program is to go on, only one that runs is: it has no call to be interrupted in. */
static void write_what_it_does(struct text *text, const struct thread *thread,
                               const struct waiting *waiting, const struct finding *finding)
{
    static struct stack stack;
    struct task_call call;
    if (!stack_get(waiting->note.stack, &stack)) {
        bool ask = !finding->goes_on || task_state(thread->tid, &call) == TASK_RUNS;
        if (!ask && waiting->note.caller != 0) {
            stack.count = 1;
            stack.frames[0] = waiting->note.caller;
            stack.first_is_exact = false;
        } else if (!ask || !picture_sample(thread->tid, &stack)) {
            text_format(text, "        (its stack %s)\n",
                        ask ? "could not be read" : "is not read, which would disturb it");
            return;
        }
    }
    write_members(text, thread, &stack, finding, "        ", "\n");
    write_frames(text, &stack);
}

static void write_actor_of(struct text *text, thread_reference reference)
{
    struct actor actor = actor_of_reference(reference);
    write_actor(text, &actor);
}

static void write_wait(struct text *text, const struct waiting *waiting, uint64_t now)
{
    const struct thread_wait *note = &waiting->note;
    if (note->what == WAIT_NONE)
        return;
    text_format(text, "        waits in %s()", note->function);
    if (note->what == WAIT_THREAD) {
        text_add(text, " for the end of ");
        write_actor_of(text, note->target);
    } else if (note->what == WAIT_DESCRIPTOR) {
        text_format(text, " on descriptor %lu", note->address);
    } else if (note->what == WAIT_DESCRIPTORS) {
        text_add(text, " on several descriptors");
    } else {
        text_format(text, " at 0x%lx", waiting->lock != 0 ? waiting->lock : note->address);
        if (waiting->holder != 0) {
            text_add(text, ", which is held by ");
            write_actor_of(text, waiting->holder);
        } else if (waiting->lock == 0 && waiting->signaller != 0) {
            text_add(text, ", last signalled by ");
            write_actor_of(text, waiting->signaller);
            text_add(text, " ");
            write_milliseconds(text, clock_nanoseconds_between(waiting->signal_ticks, now));
            text_add(text, " before");
        } else if (waiting->lock == 0 && note->what != WAIT_BARRIER && wait_keeps_all) {
            text_add(text, ", which nobody has signalled");
        }
    }
    if (note->ticks != 0) {
        text_add(text, ", since ");
        write_milliseconds(text, clock_nanoseconds_between(note->ticks, now));
    }
    text_add(text, "\n");
}

struct thread_wait_now {
    thread_reference thread;
    struct waiting waiting;
};

/* Locks that others wait for, and mutexes in guarded objects that it took, by libc's own record. */
static void write_holdings(struct text *text, const struct thread *thread,
                           const struct thread_wait_now *waits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct waiting *waiting = &waits[i].waiting;
        if (waiting->holder != thread->reference || waiting->lock == 0)
            continue;
        text_format(text, "        holds the lock at 0x%lx, for which ", waiting->lock);
        write_actor_of(text, waits[i].thread);
        text_add(text, " waits\n");
    }
    for (size_t i = 0; i < THREAD_TOUCHES; i++) {
        struct thread_touch touch = thread->touches[i];
        struct object *object = touch.object == 0 ? NULL : object_of_number(touch.object);
        if (object != NULL && atomic_load(&object->state) == OBJECT_LIVE &&
            touch.address - object->address < object->size && touch_holds(thread, &touch))
            text_format(text, "        holds the mutex at 0x%lx, in an object of %zu bytes\n",
                        touch.address, object->size);
    }
}

static void write_thread_line(struct text *text, const struct thread *thread)
{
    struct actor actor = actor_of(thread);
    struct stack stack;
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
    if (stack_get(thread->start_stack, &stack)) {
        static struct named_stack named;
        named.count = 0;
        for (uint32_t i = 0; i < stack.count && i < 8; i++)
            named.count +=
                names_of(stack.frames[i], false, named.frames + named.count, NAMED_INLINED);
        text_add(text, ", started by ");
        write_actor_of(text, thread->creator);
        text_add(text, " in ");
        write_place(text, user_frame(&named));
    }
}

/* finding: NULL outside of one. */
static void write_threads(struct text *text, const struct finding *finding)
{
    static struct thread_wait_now waits[THREADS_SHOWN];
    uint32_t live = 0, shown = 0;
    uint64_t now = clock_ticks();
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        if (thread->state != THREAD_RUNNING || live++ >= THREADS_SHOWN)
            continue;
        waits[live - 1].thread = thread->reference;
        (void)wait_of(thread, &waits[live - 1].waiting);
    }
    text_format(text, "    %u threads live:\n", live);
    uint32_t known = live < THREADS_SHOWN ? live : THREADS_SHOWN;
    for (; shown < known; shown++) {
        struct thread *thread = thread_of_reference(waits[shown].thread);
        if (thread == NULL || thread->state != THREAD_RUNNING)
            continue;
        const struct waiting *waiting = &waits[shown].waiting;
        bool touches = finding != NULL && thread->reference == finding->touch.actor.reference;
        thread_refresh_name(thread);
        write_thread_line(text, thread);
        text_add(text, touches ? " <- this thread\n" : "\n");
        write_wait(text, waiting, now);
        write_holdings(text, thread, waits, known);
        if (finding != NULL && finding->with_picture && !touches)
            write_what_it_does(text, thread, waiting, finding);
    }
    if (live > known)
        text_format(text, "      and %u more\n", live - known);
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
    if (finding->with_picture)
        write_destroyed(text, finding);
}

void render_threads(struct text *text)
{
    text_format(text, "==%d==THREADS: outlive: at exit\n", system_process());
    write_threads(text, NULL);
}
