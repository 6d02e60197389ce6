/* Descriptor: every file descriptor whose birth was seen, by number: how it was made and ended, and
 * the one that had the number before. A number whose opening or closing was not seen is unknown,
 * and nothing is ever said of it. Lock-free; a record is changed only by the thread that has made
 * it busy. Between guard_enter() and guard_leave() where stacks are kept; the rest
 * async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_DESCRIPTOR_H
#define OUTLIVE_REGISTRY_DESCRIPTOR_H

#include "registry/stack.h"
#include "registry/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTORS_MOST 65536 /* numbers from there on are not watched */

/* One word tells a descriptor's state, so that calls on it pay for one load. */
enum descriptor_state {
    DESCRIPTOR_UNKNOWN,
    DESCRIPTOR_OPEN,
    DESCRIPTOR_CLOSED,
    DESCRIPTOR_BUSY, /* a thread writes the record */
};
#define DESCRIPTOR_STATE UINT64_C(3)
#define DESCRIPTOR_COLD UINT64_C(4)   /* one of the first that its birth site made */
#define DESCRIPTOR_KEPT UINT64_C(8)   /* closed, and its number kept from reuse */
#define DESCRIPTOR_SHUT UINT64_C(16)  /* shutdown() was called on it */
#define DESCRIPTOR_TOLD UINT64_C(32)  /* a possible finding about it was made */
#define DESCRIPTOR_LISTS UINT64_C(64) /* it reads the list of all descriptors */
#define DESCRIPTOR_GENERATION 8       /* from this bit on: counts the births of the number */

struct descriptor_event {
    const char *how; /* the call, a static text; NULL: not seen */
    uint64_t ticks;
    uint32_t stack; /* kept */
    thread_reference thread;
};

struct descriptor_life {
    struct descriptor_event birth, end;
    const void *stream; /* the FILE or DIR that owns it, or NULL */
    bool shut;          /* shutdown() was called before its end */
};

struct descriptor {
    _Atomic uint64_t word;
    _Atomic thread_reference user; /* the last thread that entered a call on it */
    struct descriptor_life now, before;
};

extern struct descriptor *descriptors __attribute__((visibility("hidden")));
extern uint32_t descriptor_count __attribute__((visibility("hidden"))); /* 0: none are watched */

/* Once, at start; false: no memory. */
bool descriptor_start(void);

static inline bool descriptor_in_range(int number)
{
    return (uint32_t)number < descriptor_count;
}

/* Of a number in range. */
static inline uint64_t descriptor_word(int number)
{
    return atomic_load_explicit(&descriptors[number].word, memory_order_relaxed);
}

static inline enum descriptor_state descriptor_state_of(uint64_t word)
{
    return (enum descriptor_state)(word & DESCRIPTOR_STATE);
}

static inline uint64_t descriptor_generation(uint64_t word)
{
    return word >> DESCRIPTOR_GENERATION;
}

static inline bool descriptor_is_kept(int number)
{
    return descriptor_in_range(number) &&
           __builtin_expect((descriptor_word(number) & DESCRIPTOR_KEPT) != 0, 0);
}

/* The number was given to a new descriptor. */
void descriptor_born(int number, const char *how, struct caller caller);
/* The open descriptor that had this word is about to end: makes it busy for the caller, who then
 * calls descriptor_end(). False: another thread was first. */
bool descriptor_claim(int number, uint64_t word);
/* flags: DESCRIPTOR_KEPT and DESCRIPTOR_TOLD, or 0. */
void descriptor_end(int number, const char *how, struct caller caller, uint64_t flags);
/* A file was put in the place of another at once (dup2): the number never was free. */
void descriptor_replaced(int number, const char *how, struct caller caller);
/* Too little was seen of it. */
void descriptor_forget(int number);
/* Sets, or clears, flags of a descriptor if it still has this word's generation and state. */
bool descriptor_set(int number, uint64_t word, uint64_t flags);
bool descriptor_clear(int number, uint64_t word, uint64_t flags);
void descriptor_set_stream(int number, const void *stream);

/* A copy that belongs together; false where the record changed all the time. Waits for a busy one.
 */
bool descriptor_read(int number, struct descriptor *copy);

/* Whether the number is open, by the kernel's word. */
bool descriptor_is_open(int number);
/* One more than the highest number that was seen. */
uint32_t descriptor_top(void);

void descriptor_forked(void); /* in the child */

#endif
