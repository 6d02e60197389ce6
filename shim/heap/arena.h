/* Arena: the places of guarded objects. One large reservation of addresses, handed out once and
 * never again; a destroyed object's pages are made dead, so that any access traps (see back_end.h).
 * Allocation takes a lock (between guard_enter() and guard_leave()); the rest is async-signal-safe.
 */
#ifndef OUTLIVE_HEAP_ARENA_H
#define OUTLIVE_HEAP_ARENA_H

#include "base/options.h"
#include "registry/object.h"

/* Bytes after each object that a program may read without a trap: vector code does. */
#define ARENA_SLACK 64

/* Chooses the back end by a probe. False: no guarded objects; the reason was told. */
bool arena_start(const struct options *options);
/* Its name, for the coverage line. */
const char *arena_back_end(void);
/* NULL while nothing is missing; else why no, or no more, objects are guarded. */
const char *arena_loss(void);

/* How many quarters of guard_memory live objects take: 0 to 3. */
unsigned arena_quarters_used(void);
/* A record in state OBJECT_LIVE with address, size and place set and its memory zeroed, or NULL
 * when a budget is used up. alignment: a power of two up to a page. */
struct object *arena_allocate(size_t size, size_t alignment);

/* The reservation: [first, last). */
extern uintptr_t arena_first __attribute__((visibility("hidden")));
extern uintptr_t arena_last __attribute__((visibility("hidden")));

static inline bool arena_contains(const void *address)
{
    return (uintptr_t)address >= arena_first && (uintptr_t)address < arena_last;
}

/* The object whose pages hold the address, live or dead; NULL where there is none, or its record
 * has been reused. */
struct object *arena_object(const void *address);

/* The live object whose pages hold the address, or NULL. */
static inline struct object *arena_live(const void *address)
{
    struct object *object = arena_contains(address) ? arena_object(address) : NULL;
    return object != NULL && atomic_load(&object->state) == OBJECT_LIVE ? object : NULL;
}

/* As arena_object(), but never NULL: an unknown object is a dead one. */
const struct object *arena_object_or_dead(const void *address);

/* Bytes an object may grow to in its place. */
size_t arena_capacity(const struct object *object);

/* Moves a live object to OBJECT_DYING: true for exactly one caller, which fills the end fields and
 * then calls arena_kill(). */
bool arena_claim(struct object *object);
void arena_kill(struct object *object);
/* Whether arena_reopen() can work. */
bool arena_keeps_content(void);
/* Opens a dead object's pages again with their last content; false where that is gone. */
bool arena_reopen(struct object *object);

void arena_prepare_fork(void);
void arena_forked(bool child);

#endif
