/* Use events: see use.h. */
#include "event/use.h"

#include "event/lock.h"

#include <errno.h>

void event_touched_slow(const void *address, enum use_source source, const char *function,
                        struct caller caller)
{
    if (use_note_again(address, source, caller))
        return;
    struct object *object = arena_object(address);
    if (object == NULL || atomic_load(&object->state) != OBJECT_LIVE || !guard_enter())
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
