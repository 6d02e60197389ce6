/* Use events: see use.h. */
#include "event/use.h"

#include "event/lock.h"

#include "base/probe.h"

#include <errno.h>

void event_touched_slow(const void *address, enum use_source source, const char *function,
                        struct caller caller)
{
    if (use_note_again(address, source, caller))
        return;
    struct object *object = arena_live(address);
    if (object == NULL || !guard_enter())
        return;
    int saved = errno;
    (void)thread_current();
    /* Nothing may be allocated under locks of the program's allocator: see event/lock.h. */
    if (source == USE_LOCK && !event_locks_unwind)
        caller.slot = 0;
    use_note(object, source, function, caller);
    guard_leave();
    errno = saved;
}

static void note_argument(const void *address, struct caller entry)
{
    struct object *object = arena_live(address);
    if (object != NULL)
        use_note(object, USE_ARGUMENT, NULL, entry);
}

/* Beyond these nothing tells where what the argument points to ends, if it is no guarded object;
 * what follows on a stack or in a block of the heap may be anything. */
enum { ARGUMENT_WORDS_KNOWN = 64, ARGUMENT_WORDS = 8 };

void event_thread_began(void)
{
    const struct thread *thread = guard.thread;
    if (thread == NULL || !event_heap_watched)
        return;
    const char *argument = thread->argument;
    const struct caller entry = {(uintptr_t)thread->entry + 1, 0}; /* as a return address */
    const struct object *object = arena_contains(argument) ? arena_object(argument) : NULL;
    size_t words = ARGUMENT_WORDS;
    if (object != NULL && (uintptr_t)argument - object->address < object->size) {
        words = (object->size - ((uintptr_t)argument - object->address)) / sizeof(uint64_t);
        words = words < ARGUMENT_WORDS_KNOWN ? words : ARGUMENT_WORDS_KNOWN;
    }
    note_argument(argument, entry);
    uint64_t word;
    if ((uintptr_t)argument % sizeof word != 0 || argument == NULL)
        return;
    for (size_t i = 0; i < words && probe_word(argument + i * sizeof word, &word); i++)
        note_argument((const void *)(uintptr_t)word, entry);
}
