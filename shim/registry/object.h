/* Object: the records of guarded heap objects, from birth to well after destruction. A record is
 * reused only when OBJECTS later ones were born, and never while its object lives; the address of
 * the object is never reused at all. Creating takes a lock (between guard_enter() and
 * guard_leave()); everything else is async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_OBJECT_H
#define OUTLIVE_REGISTRY_OBJECT_H

#include "registry/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define OBJECTS (UINT32_C(1) << 18)

enum object_state { OBJECT_UNUSED, OBJECT_LIVE, OBJECT_DYING, OBJECT_DEAD };

/* Which call made or ended an object; names for reports from origin_name(). */
enum origin {
    ORIGIN_MALLOC,
    ORIGIN_CALLOC,
    ORIGIN_REALLOC,
    ORIGIN_ALIGNED,
    ORIGIN_NEW,
    ORIGIN_NEW_ARRAY,
    ORIGIN_FREE,
    ORIGIN_DELETE,
    ORIGIN_DELETE_ARRAY,
};

const char *origin_name(enum origin origin);

struct object {
    _Atomic uint32_t state;
    uint32_t number;
    uintptr_t address;
    size_t size;       /* as the program asked */
    uintptr_t place;   /* first byte of its pages */
    size_t place_size; /* bytes, whole pages */
    uint32_t site;
    enum origin birth, end;
    thread_reference birth_thread, end_thread;
    uint32_t birth_stack, end_stack;
    uint64_t birth_ticks, end_ticks;
    /* The last outermost destructor that was entered on it: entry, 0 where none was seen; who; and
     * the return address and its slot, by which it is known to run still. */
    uintptr_t destructor, destructor_return, destructor_slot;
    thread_reference destructor_thread;
    uint64_t destructor_ticks;
    _Atomic bool touched; /* some thread has worked in it in a way that is kept, see touch.h */
    uint64_t first_word;  /* at the destruction: a vtable pointer tells the type */
    _Atomic bool opened;  /* dead, but given back so that the program could go on */
};

bool object_start(void);
/* A record in state OBJECT_UNUSED with its number set, or NULL when all objects live. */
struct object *object_new(void);
struct object *object_of_number(uint32_t number);

void object_prepare_fork(void);
void object_forked(bool child);

#endif
