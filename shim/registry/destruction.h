/* Destruction: the destructors that run right now on guarded objects, and what other threads did
 * with these meanwhile. One outermost destructor is one destruction; bases and members run inside
 * it. Lock-free; every function may be called by any thread, between guard_enter() and
 * guard_leave(). */
#ifndef OUTLIVE_REGISTRY_DESTRUCTION_H
#define OUTLIVE_REGISTRY_DESTRUCTION_H

#include "registry/object.h"
#include "registry/stack.h"

/* A touch by another thread. */
struct destruction_touch {
    thread_reference thread;
    uint32_t stack; /* kept */
    uint64_t ticks;
    const char *function; /* a static text */
};

struct destruction {
    _Atomic uint32_t state;
    thread_reference by;
    uint32_t object; /* its number */
    uintptr_t start, end;
    uintptr_t slot; /* of the destructor's return address: it has ended when the stack is above */
    uintptr_t function; /* the destructor's entry */
    uint32_t stack;     /* kept, at its entry */
    uint64_t ticks;
    /* The first touch since the destroying thread last waited for anything. */
    _Atomic uint32_t touched;
    struct destruction_touch touch;
};

/* How many run, in all threads: nothing else needs to be asked while it is 0. */
extern _Atomic uint32_t destructions_running __attribute__((visibility("hidden")));

static inline bool destruction_any(void)
{
    return __builtin_expect(atomic_load_explicit(&destructions_running, memory_order_relaxed) != 0,
                            0);
}

/* True: it runs inside an earlier one of the same object by the calling thread. Ends those of the
 * thread that were left by longjmp or an exception. */
bool destruction_is_nested(const struct object *object, uintptr_t slot);
/* False: too many run; this one is not followed. */
bool destruction_begin(const struct object *object, uintptr_t function, struct caller caller);
/* The one that the calling thread began at that slot, or NULL. The caller reads it, then calls
 * destruction_end(). */
struct destruction *destruction_at(uintptr_t slot);
void destruction_end(struct destruction *destruction);

/* The destruction by another thread that the address lies in, or NULL. */
struct destruction *destruction_of(const void *address);
void destruction_note_touch(struct destruction *destruction, const char *function,
                            struct caller caller);
/* The calling thread has waited for others, or taken a lock: what they did before is ordered. */
void destruction_synchronised_slow(void);
static inline void destruction_synchronised(void)
{
    if (destruction_any())
        destruction_synchronised_slow();
}

void destruction_forked(void);

#endif
