/* Use events: touches of guarded objects by calls that hooks see. */
#ifndef OUTLIVE_EVENT_USE_H
#define OUTLIVE_EVENT_USE_H

#include "event/event.h"
#include "registry/use.h"

void event_touched_slow(const void *address, enum use_source source, const char *function,
                        struct caller caller);

/* The calling thread touches the address, in `function` (a static text), before the object can be
 * destroyed. Without the guard; keeps errno. One comparison of a range where the address is in no
 * guarded object. */
static inline __attribute__((always_inline)) void event_touched(const void *address,
                                                                enum use_source source,
                                                                const char *function,
                                                                struct caller caller)
{
    if (__builtin_expect(arena_contains(address), 0))
        event_touched_slow(address, source, function, caller);
}

#endif
