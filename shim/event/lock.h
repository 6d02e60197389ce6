/* Lock events: locks that are taken and released, waited for and destroyed. All are called without
 * the guard, and keep errno. Release is told before the real call: after it the next owner may
 * destroy the lock, and nothing here reads it. */
#ifndef OUTLIVE_EVENT_LOCK_H
#define OUTLIVE_EVENT_LOCK_H

#include "event/event.h"
#include "registry/held_lock.h"
#include "registry/order.h"

/* Set at start. False: the program's allocator takes locks that are seen here. To unwind may
 * allocate, which must not happen under these; and which locks they are is not known. */
extern bool event_locks_unwind __attribute__((visibility("hidden")));
/* held_lock.h's `call` of one whose path is not in the cache; without its site where the thread has
 * looked for many. */
uint64_t event_lock_call(struct thread_block *block, struct caller caller);

static inline __attribute__((always_inline)) void
event_lock_taken(const void *address, enum held_how how, struct caller caller)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(block == NULL || guard.inside != 0, 0))
        return;
    uint64_t call = caller.address;
    if (__builtin_expect(sites != NULL, 1)) {
        const struct site *site = site_cached(site_cache_entry(caller), caller);
        call = __builtin_expect(site != NULL, 1) ? (uint64_t)(site - sites) | HELD_LOCK_SITE
                                                 : event_lock_call(block, caller);
    }
    if (arena_contains(address)) {
        struct object *object = arena_object(address);
        if (object != NULL && !atomic_load_explicit(&object->touched, memory_order_relaxed))
            atomic_store_explicit(&object->touched, true, memory_order_relaxed);
    }
    held_lock_add(block, address, how, call);
    order_note(block, ORDER_ACQUIRE, address);
}

static inline __attribute__((always_inline)) void event_lock_released(const void *address)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(block != NULL && guard.inside == 0, 1)) {
        held_lock_remove(block, address);
        order_note(block, ORDER_RELEASE, address);
    }
}

/* The calling thread wakes others by what is no lock that it holds, or was woken by it. */
static inline void event_told(const void *address)
{
    if (__builtin_expect(guard.block != NULL && guard.inside == 0, 1)) {
        held_lock_tell(guard.block, address);
        order_note(guard.block, ORDER_RELEASE, address);
    }
}
static inline void event_was_told(const void *address)
{
    if (__builtin_expect(guard.block != NULL && guard.inside == 0, 1)) {
        held_lock_was_told(guard.block, address);
        order_note(guard.block, ORDER_ACQUIRE, address);
    }
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
