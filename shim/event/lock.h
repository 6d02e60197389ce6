/* Lock events: locks that are taken and released, waited for and destroyed. All are called without
 * the guard, and keep errno. Release is told before the real call: after it the next owner may
 * destroy the lock, and nothing here reads it. */
#ifndef OUTLIVE_EVENT_LOCK_H
#define OUTLIVE_EVENT_LOCK_H

#include "event/event.h"
#include "registry/held_lock.h"

/* A site for a call whose path is not in the cache; 0 where the thread has looked for many. */
uint32_t event_lock_site(struct thread_block *block, struct caller caller);

static inline __attribute__((always_inline)) void
event_lock_taken(const void *address, enum held_how how, struct caller caller)
{
    struct thread_block *block = held_lock_block();
    if (block == NULL)
        return;
    uint32_t number = 0;
    if (__builtin_expect(sites != NULL, 1)) {
        const struct site *site = site_cached(site_cache_entry(caller), caller);
        number = __builtin_expect(site != NULL, 1) ? (uint32_t)(site - sites)
                                                   : event_lock_site(block, caller);
    }
    if (arena_contains(address)) {
        struct object *object = arena_object(address);
        if (object != NULL && !atomic_load_explicit(&object->touched, memory_order_relaxed))
            atomic_store_explicit(&object->touched, true, memory_order_relaxed);
    }
    held_lock_add(block, address, how, caller.address, number);
}

static inline __attribute__((always_inline)) void event_lock_released(const void *address)
{
    struct thread_block *block = held_lock_block();
    if (block != NULL)
        held_lock_remove(block, address);
}

/* A lock is about to be destroyed by that call. True: tell when it was. */
bool event_lock_destroying(const void *address, enum lock_sort sort, const char *function,
                           struct caller caller);
void event_lock_destroyed(const void *address, enum lock_sort sort, const char *function,
                          struct caller caller);
/* The same of one that looks dead: event_lock_slow(), but that a second destruction is no use. */
void event_lock_destroying_slow(const void *address, enum lock_sort sort, const char *function,
                                struct caller caller);

#endif
