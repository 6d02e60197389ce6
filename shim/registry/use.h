/* Use: who uses which guarded object. A touch that a hook sees is noted by (object, thread): when
 * it was first and last, how often, by which ways, from where. A few users an object are kept, in a
 * table beside the objects' records that is touched only for objects with touches. A new place
 * takes a lock: between guard_enter() and guard_leave(). Reading takes none, in any context: a user
 * that is just being replaced may be read as the new one with numbers of the old. */
#ifndef OUTLIVE_REGISTRY_USE_H
#define OUTLIVE_REGISTRY_USE_H

#include "registry/object.h"
#include "registry/stack.h"

enum use_source { USE_LOCK, USE_MEMORY, USE_ARGUMENT, USE_MEMBER, USE_CONTAINER, USE_ANNOTATION };

/* Written by the thread itself; what it was stays when the object dies, and until its record is
 * reused. */
struct use {
    _Atomic thread_reference thread; /* 0: free */
    uint32_t sources;                /* bits 1 << source */
    uint32_t count;
    uint32_t stack;       /* kept, of the last new place; 0: only the caller is known */
    uintptr_t caller;     /* the last new place: return address into the program */
    const char *function; /* a static text: that call; NULL: a function of the program's */
    uint64_t first_ticks, last_ticks;
};

/* Users kept of an object: when a further one comes, the one that ended leaves, else the one whose
 * last touch is the oldest. */
#define OBJECT_USES 8

/* After object_start(). False: no memory, nothing is noted. */
bool use_start(void);

/* The calling thread touches the live object. Without caller.slot no stack is kept. */
void use_note(struct object *object, enum use_source source, const char *function,
              struct caller caller);

/* How a thread comes back to an object between the calls in which it waits. */
#define USE_PLACES 8
struct use_rhythm {
    uint32_t rounds;   /* touches with such a call since the one before */
    uint32_t gap;      /* the most such calls between two touches */
    uint32_t releases; /* the thread's count of them (thread_block) at the last touch */
    uint32_t waits;    /* the thread's count of them (thread_sleep) at the last touch */
    /* Where it waited between two touches: the first of sleep_place() that were seen. */
    uint32_t places[USE_PLACES];
};
/* False: the thread is none of those kept for the object. */
bool use_rhythm_of(const struct object *object, thread_reference thread, struct use_rhythm *rhythm);
/* The thread that waits there does so within a round. */
static inline bool use_rhythm_has(const struct use_rhythm *rhythm, uint32_t place)
{
    for (size_t i = 0; i < USE_PLACES; i++)
        if (rhythm->places[i] == place)
            return true;
    return false;
}

/* The same of a touch of that address where the thread has noted one there lately, from the same
 * place: some nanoseconds, without the guard. False: not noted. */
bool use_note_again(const void *address, enum use_source source, struct caller caller);

/* Copies the users of the object, at most `most`; returns how many. */
size_t use_users(const struct object *object, struct use *uses, size_t most);
/* The numbers of the objects that the thread uses, at most `most`. Looks through all that have
 * users: for reports. */
size_t use_objects(thread_reference thread, uint32_t *numbers, size_t most);

/* What the calling thread did to the object comes before all that follows: it is no user, until its
 * next touch. Any context. */
void use_handed_over(const struct object *object);

void use_prepare_fork(void);
void use_forked(bool child);

#endif
