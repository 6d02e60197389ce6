/* Story: the paragraphs of a text report below its stacks: the thread's life, what ordered the
 * touch after the destruction, what to change, and a timeline in characters. Called by render.c. */
#include "report/render.h"

#include "base/clock.h"

static void write_before(struct text *text, uint64_t ticks, uint64_t now)
{
    write_milliseconds(text, clock_nanoseconds_between(ticks, now));
    text_add(text, " before the touch");
}

static void write_life(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    uint64_t now = finding->touch.ticks;
    if (thread == NULL || finding->kind == KIND_LATE_WRITE || !finding->touch.has)
        return;
    text_add(text, "  Thread: ");
    write_actor(text, &finding->touch.actor);
    if (thread->origin == THREAD_MAIN) {
        text_add(text, " is the main thread");
        write_members(text, thread, &finding->touch.stack, finding, "; ", "");
        text_add(text, "\n");
        return;
    }
    if (thread->origin == THREAD_APPEARED)
        text_add(text, " was not made by pthread_create (clone, or a library's own thread); first "
                       "seen ");
    else if (thread->origin == THREAD_TIMER)
        text_add(text, " was made by libc for a SIGEV_THREAD notification, ");
    else
        text_add(text, " was started ");
    write_before(text, thread->start_ticks, now);
    if (thread->detached && thread->detached_ticks != 0) {
        text_add(text, "; detached ");
        write_before(text, thread->detached_ticks, now);
    } else if (thread->detached) {
        text_add(text, "; created detached");
    } else if (thread->joining) {
        struct actor joiner = actor_of_reference(thread->joiner);
        text_add(text, "; being joined by ");
        write_actor(text, &joiner);
    } else if (finding->kind == KIND_LOCK_HELD_AT_END) {
        text_add(text, "; ends now");
    } else if (thread->origin == THREAD_CREATED) {
        text_add(text, "; still running, never joined");
    }
    if (thread->cancel_ticks != 0) {
        struct actor canceller = actor_of_reference(thread->canceller);
        text_add(text, "; cancellation requested by ");
        write_actor(text, &canceller);
        text_add(text, " ");
        write_before(text, thread->cancel_ticks, now);
    }
    write_members(text, thread, &finding->touch.stack, finding, "; ", "");
    text_add(text, "\n");
}

static bool crosses_threads(const struct finding *finding)
{
    return (finding->kind == KIND_LATE_TOUCH || finding->kind == KIND_USE_AFTER_CLOSE ||
            finding->kind == KIND_USE_AFTER_DESTROY ||
            (finding->kind == KIND_USE_AFTER_UNLOAD && finding->function == 0)) &&
           finding->end.has && finding->touch.actor.reference != finding->end.actor.reference;
}

static const char *end_word(const struct finding *finding)
{
    return finding->has_descriptor    ? "close"
           : finding->library != NULL ? "unload"
           : !finding->has_thread     ? "destruction"
           : finding->was_joined      ? "first join"
                                      : "detaching";
}

static void write_order(struct text *text, const struct finding *finding)
{
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    if (!crosses_threads(finding))
        return;
    text_add(text, "  Order: ");
    if (finding->part != THREAD_PART_NONE) {
        write_actor(text, &finding->end.actor);
        text_add(text, finding->part == THREAD_PART_RECORD
                           ? " had ended and was joined, or detached: its pthread_t stands for "
                             "nothing since\n"
                           : " had ended; its stack and its thread-local storage ended with it\n");
        return;
    }
    if (thread != NULL && finding->end.ticks != 0 && thread->start_ticks > finding->end.ticks &&
        thread->origin != THREAD_APPEARED) {
        text_format(
            text,
            "the thread was started after the %s, so it was handed a %s that was already dead\n",
            end_word(finding), finding->has_descriptor ? "number" : "pointer");
        return;
    }
    text_add(text, "nothing seen stops ");
    write_actor(text, &finding->touch.actor);
    text_add(text, " before ");
    write_actor(text, &finding->end.actor);
    text_format(text, " %s: no join of it came first",
                finding->has_descriptor    ? "closes the descriptor"
                : finding->library != NULL ? "unloads the library"
                                           : "destroys the object");
    if (thread != NULL && thread->cancel_ticks != 0)
        text_add(text, " (a cancellation is only a request; a join after it is what waits)");
    text_add(text, "\n");
}

/* Which thread is to stop before what. */
static void write_stop(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    bool joinable = thread != NULL && thread->origin == THREAD_CREATED && !thread->detached;
    if (finding->is_static || finding->ended_in.function != 0) {
        text_add(text, "before exit");
    } else {
        text_add(text, "before the destruction in ");
        write_place(text, user_frame(&named->stacks[MOMENT_END]));
    }
    text_add(text, ", make ");
    write_actor(text, &finding->touch.actor);
    if (joinable)
        text_add(text, " stop and join it");
    else if (thread != NULL && thread->origin == THREAD_MAIN)
        text_add(text, " stop using the object");
    else if (thread != NULL && thread->origin == THREAD_TIMER)
        text_add(text, " stop: delete the timer and wait for a notification under way");
    else
        text_add(text, " stop and wait for its end (a detached thread cannot be joined: start "
                       "it joinable, or count it out under a lock)");
    if (named->stacks[MOMENT_START].count > 0) {
        text_add(text, "; it was started in ");
        write_place(text, user_frame(&named->stacks[MOMENT_START]));
    }
}

static void write_unload_change(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    bool at_unload = finding->kind == KIND_UNLOAD_WHILE_REGISTERED;
    text_add(text, "before the dlclose in ");
    write_place(text, user_frame(&named->stacks[at_unload ? MOMENT_TOUCH : MOMENT_END]));
    if (finding->function != 0) {
        text_add(text, ", take back what was registered");
        if (finding->other.has) {
            text_add(text, " in ");
            write_place(text, user_frame(&named->stacks[MOMENT_OTHER]));
        }
    } else if (finding->end.actor.reference == finding->touch.actor.reference) {
        text_add(text, ", leave the library: who closes it must not be called by it");
    } else {
        text_add(text, ", make ");
        write_actor(text, &finding->touch.actor);
        text_add(text, " leave the library, or stop and join it");
    }
    text_add(text, "; or load it with RTLD_NODELETE, so that it stays");
}

static bool thread_was_cancelled(const struct finding *finding)
{
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    return thread != NULL && thread->ending == THREAD_CANCELLED;
}

static void write_end_of_owner(struct text *text, const struct finding *finding)
{
    if (finding->part == THREAD_PART_RECORD) {
        text_add(text, "forget the pthread_t of ");
        write_actor(text, &finding->end.actor);
        text_add(text, " once it is joined, or detached and about to end");
        return;
    }
    text_add(text, "keep what ");
    write_actor(text, &finding->touch.actor);
    text_add(text, " needs where it outlives ");
    write_actor(text, &finding->end.actor);
    text_add(text, " (the heap, or the thread that starts both), or make ");
    write_actor(text, &finding->end.actor);
    text_add(text, " wait, before it ends, until ");
    write_actor(text, &finding->touch.actor);
    text_add(text, " is done with it");
}

static void write_change(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    const struct named_frame *end = user_frame(&named->stacks[MOMENT_END]);
    text_add(text, "  What to change: ");
    switch (finding->kind) {
    case KIND_LATE_TOUCH:
        if (finding->part != THREAD_PART_NONE)
            write_end_of_owner(text, finding);
        else
            write_stop(text, named);
        break;
    case KIND_USE_AFTER_DESTRUCTION:
        text_add(text,
                 "destroy the object later: make it in a function that its users' constructors "
                 "call, so that it is older than they are, or leave it for good (new without "
                 "delete)");
        break;
    case KIND_USE_AFTER_FREE:
        text_add(text, "do not use the object after its destruction in ");
        write_place(text, end);
        text_add(text, ": the same thread does both");
        break;
    case KIND_LATE_WRITE:
        text_add(text, "find who writes through a pointer kept past the destruction in ");
        write_place(text, end);
        text_add(text, "; guard_per_site=1000 guard_memory=1G makes the write itself trap");
        break;
    case KIND_UNINITIALISED_POINTER:
        text_format(text, "initialise the member at offset %lu where the object is made",
                    finding->offset);
        if (named->stacks[MOMENT_BIRTH].count > 0) {
            text_add(text, ", in ");
            write_place(text, user_frame(&named->stacks[MOMENT_BIRTH]));
        }
        break;
    case KIND_DOUBLE_FREE:
        text_add(text, "one owner frees: compare the free in ");
        write_place(text, user_frame(&named->stacks[MOMENT_TOUCH]));
        text_add(text, " with the first one in ");
        write_place(text, end);
        break;
    case KIND_INVALID_FREE:
        text_add(text, "free the pointer that the allocation returned, not one into its middle");
        break;
    case KIND_WILD_DESTRUCTOR:
        text_add(text, "find where the pointer comes from: it was overwritten, or never set, in ");
        write_place(text, user_frame(&named->stacks[MOMENT_TOUCH]));
        break;
    case KIND_DOUBLE_DESTRUCTION:
        text_add(text,
                 "one owner destroys: compare the destructor's caller with the destruction in ");
        write_place(text, end);
        break;
    case KIND_TOUCH_DURING_DESTRUCTION:
        text_add(text, "stop and join ");
        write_actor(text, &finding->touch.actor);
        text_add(text, " before the destruction in ");
        write_place(text, end);
        text_add(text, ", or first thing in the destructor");
        break;
    case KIND_DOUBLE_CLOSE:
        text_add(text, "one owner closes: compare the close in ");
        write_place(text, user_frame(&named->stacks[MOMENT_TOUCH]));
        text_add(text, " with the first one in ");
        write_place(text, end);
        text_add(text, "; a number that was given back may be another thread's at once");
        break;
    case KIND_USE_AFTER_CLOSE:
    case KIND_REUSED_DESCRIPTOR:
        text_add(text, "end the use in ");
        write_place(text, user_frame(&named->stacks[MOMENT_TOUCH]));
        text_add(text, " before the close in ");
        write_place(text, end);
        if (finding->touch.actor.reference != finding->end.actor.reference) {
            text_add(text, ": stop and join ");
            write_actor(text, &finding->touch.actor);
            text_add(text, " first");
        }
        if (finding->kind == KIND_USE_AFTER_CLOSE && finding->other.has) {
            text_add(text,
                     "; and see whether that close meant the descriptor of the earlier close in ");
            write_place(text, user_frame(&named->stacks[MOMENT_OTHER]));
        }
        break;
    case KIND_CLOSE_WHILE_IN_USE:
        text_add(text, "wake and join ");
        write_actor(text, &finding->touch.actor);
        text_add(text, " before the close in ");
        write_place(text, end);
        text_add(text, ": a close wakes nobody; shutdown() of a socket, or a byte in a pipe, does");
        break;
    case KIND_STREAM_DESCRIPTOR_CLOSED:
        text_add(text,
                 "close the stream, not its descriptor: its own close will hit the number again, "
                 "whoever has it then");
        break;
    case KIND_USE_AFTER_UNLOAD:
    case KIND_UNLOAD_WHILE_IN_USE:
    case KIND_UNLOAD_WHILE_REGISTERED:
        write_unload_change(text, named);
        break;
    case KIND_USE_AFTER_DESTROY:
        text_format(text, "destroy the %s after its last use: ", finding->lock);
        if (finding->touch.actor.reference != finding->end.actor.reference) {
            text_add(text, "stop and join ");
            write_actor(text, &finding->touch.actor);
            text_add(text, " before the destruction in ");
        } else {
            text_add(text, "the same thread destroys it in ");
        }
        write_place(text, end);
        break;
    case KIND_DESTROY_WHILE_IN_USE:
        text_add(text, "before the destruction in ");
        write_place(text, end);
        if (finding->touch.actor.reference == finding->end.actor.reference) {
            text_format(text, ", unlock the %s", finding->lock);
        } else {
            text_add(text, ", make ");
            write_actor(text, &finding->touch.actor);
            text_format(text, " leave the %s: stop and join it", finding->lock);
        }
        break;
    case KIND_LOCK_HELD_AT_END:
        text_format(text, "unlock the %s on every way out of the thread", finding->lock);
        if (thread_was_cancelled(finding))
            text_add(text, ": pthread_cleanup_push() a function that does");
        text_add(text, "; whoever locks it next waits for ever");
        break;
    case KIND_DOUBLE_JOIN:
        text_add(text, "one owner joins, once: compare the join in ");
        write_place(text, user_frame(&named->stacks[MOMENT_TOUCH]));
        if (finding->end.has) {
            text_add(text, " with the first one in ");
            write_place(text, end);
        }
        text_add(text, "; the handle of a joined thread may be another thread's at once");
        break;
    case KIND_JOIN_AFTER_DETACH:
    case KIND_DOUBLE_DETACH:
        text_add(text, "either join the thread or detach it");
        if (finding->end.has) {
            text_add(text, ": it is detached in ");
            write_place(text, end);
        } else if (named->stacks[MOMENT_BIRTH].count > 0) {
            text_add(text, ": it is created detached in ");
            write_place(text, user_frame(&named->stacks[MOMENT_BIRTH]));
        }
        break;
    case KIND_STALE_THREAD_HANDLE:
        text_add(text, "do not use the handle after the ");
        text_add(text, finding->was_joined ? "join" : "detaching");
        if (finding->end.has) {
            text_add(text, " in ");
            write_place(text, end);
        }
        text_add(text, finding->was_joined
                           ? ": it may be another thread's by then"
                           : ": the thread may end at any time; keep it joinable while it is used");
        break;
    case KIND_JOINABLE_THREAD_DESTROYED:
        text_add(text, "stop and join the thread, or detach it, on every way, also of an "
                       "exception, before its std::thread goes");
        if (named->stacks[MOMENT_BIRTH].count > 0) {
            text_add(text, "; it is started in ");
            write_place(text, user_frame(&named->stacks[MOMENT_BIRTH]));
        }
        break;
    case KIND_THREAD_LEAK:
        text_add(text, "join or detach the threads that are started in ");
        write_place(text, user_frame(&named->stacks[MOMENT_BIRTH]));
        break;
    case KIND_HUNG_SHUTDOWN:
        text_add(text,
                 finding->advice != NULL ? finding->advice : "see below what the threads still do");
        break;
    case KIND_PURE_VIRTUAL_CALL:
        text_add(text, "end the calls on the object before its destructor begins: join the thread "
                       "that calls, or stop it in the most derived destructor");
        break;
    case KIND_SHUTDOWN_CRASH:
        if (finding->null_pointer != 0)
            write_stop(text, named);
        else
            text_add(text, "see what the threads below still did when the crash came");
        break;
    default:
        break;
    }
    text_add(text, "\n");
}

/* The moments in order of time, evenly spaced: lives of hours and touches microseconds after a
 * destruction do not fit one scale. */
enum { COLUMN = 14, LABEL = 22, MARKS = 4 };

struct mark {
    uint64_t ticks;
    char letter;
};

static size_t sort_marks(struct mark *marks, const struct finding *finding)
{
    const struct mark all[MARKS] = {
        {finding->birth.has ? finding->birth.ticks : 0, 'B'},
        {finding->start.has ? finding->start.ticks : 0, 'S'},
        {finding->end.has ? finding->end.ticks : 0, 'D'},
        {finding->touch.ticks, 'X'},
    };
    size_t count = 0;
    for (size_t i = 0; i < MARKS; i++) {
        if (all[i].ticks == 0)
            continue;
        size_t at = count++;
        for (; at > 0 && marks[at - 1].ticks > all[i].ticks; at--)
            marks[at] = marks[at - 1];
        marks[at] = all[i];
    }
    return count;
}

static size_t column_of(const struct mark *marks, size_t count, char letter)
{
    for (size_t i = 0; i < count; i++)
        if (marks[i].letter == letter)
            return i;
    return SIZE_MAX;
}

static void write_row(struct text *text, size_t first, char first_letter, size_t last,
                      char last_letter, size_t count)
{
    size_t width = (count - 1) * COLUMN + 1;
    for (size_t i = 0; i < width; i++) {
        size_t start = first == SIZE_MAX ? 0 : first * COLUMN;
        size_t end = last == SIZE_MAX ? width : last * COLUMN;
        char c = i < start || i > end ? ' ' : '=';
        if (first != SIZE_MAX && i == start)
            c = first_letter;
        if (last != SIZE_MAX && i == end)
            c = last_letter;
        text_add_char(text, c);
    }
    text_add_char(text, '\n');
}

static void write_label(struct text *text, const char *label, size_t used)
{
    text_add(text, label);
    text_add_spaces(text, used < LABEL ? LABEL - used : 1);
}

static void write_timeline(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    struct mark marks[MARKS];
    size_t count = sort_marks(marks, finding);
    if (!finding->end.has || count < 2)
        return;
    text_add(text, "  Timeline (not to scale):\n    ");
    write_label(text, "before the touch", 16);
    for (size_t i = 0; i < count; i++) {
        size_t before = text->length;
        if (marks[i].letter == 'X')
            text_add(text, "now");
        else
            write_milliseconds(text,
                               clock_nanoseconds_between(marks[i].ticks, finding->touch.ticks));
        size_t used = text->length - before;
        if (i + 1 < count)
            text_add_spaces(text, used < COLUMN ? COLUMN - used : 1);
    }
    text_add(text, "\n    ");
    bool of_thread = finding->part != THREAD_PART_NONE;
    const char *what = finding->has_descriptor    ? "descriptor"
                       : finding->library != NULL ? "library"
                       : finding->lock != NULL    ? "lock"
                       : of_thread                ? "owner"
                       : finding->has_thread      ? "handle"
                                                  : "object";
    write_label(text, what, text_length(what));
    write_row(text, column_of(marks, count, 'B'), 'B', column_of(marks, count, 'D'), 'D', count);
    if (finding->kind != KIND_LATE_WRITE) { /* whose thread is not known */
        text_add(text, "    ");
        size_t before = text->length;
        write_actor(text, &finding->touch.actor);
        write_label(text, "", text->length - before);
        write_row(text, column_of(marks, count, 'S'), 'S', column_of(marks, count, 'X'), 'X',
                  count);
    }
    text_format(text, "    B %s, D %s, S start of the thread, X %s\n",
                of_thread                  ? "start of the owner"
                : finding->library != NULL ? "load"
                                           : "birth",
                of_thread ? "its end" : end_word(finding),
                finding->kind == KIND_LATE_WRITE ? "noticed" : "the touch");
}

void render_story(struct text *text, const struct named_finding *named)
{
    write_life(text, named);
    write_order(text, named->finding);
    write_change(text, named);
    write_timeline(text, named);
    if (named->finding->cannot_reason != NULL)
        text_format(text, "  halt_on_error=0: %s\n", named->finding->cannot_reason);
}
