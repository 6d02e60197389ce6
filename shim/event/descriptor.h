/* Descriptor events: births, ends and uses of file descriptors. All are called without the guard,
 * and keep errno. In a child of vfork, or of a raw clone, which shares our memory but has
 * descriptors of its own, they change nothing. */
#ifndef OUTLIVE_EVENT_DESCRIPTOR_H
#define OUTLIVE_EVENT_DESCRIPTOR_H

#include "event/event.h"
#include "registry/descriptor.h"

#include <errno.h>

/* how: the call, a static text. A number below 0 is none. */
void event_opened(int number, const char *how, struct caller caller);
/* dup2 and the like: the number now stands for another file, or a first one. */
void event_replaced(int number, const char *how, struct caller caller);
/* An opening call failed with EMFILE or ENFILE. True: numbers were given back, try again. */
bool event_descriptors_scarce(void);
/* That path is about to be opened. Where it lists the descriptors the kept numbers go back first,
 * so that the list's own is the one it would be bare. */
void event_opening_path(const char *path);
/* The number was opened on that path: does it list the descriptors? Told after event_opened(). */
void event_opened_path(int number, const char *path);

enum closing {
    CLOSING_UNSEEN,  /* not known: make the call, then event_closed() */
    CLOSING_ENDS,    /* the same, of a descriptor that is known */
    CLOSING_AGAIN,   /* the same, of one that is closed already */
    CLOSING_DONE,    /* the file is closed, the number kept: 0 */
    CLOSING_REFUSED, /* closed already, the number kept: EBADF */
};
enum closing event_closing(int number, struct caller caller);
void event_closed_slow(int number, enum closing closing, bool ok, struct caller caller);
static inline void event_closed(int number, enum closing closing, bool ok, struct caller caller)
{
    if (__builtin_expect(closing != CLOSING_ENDS || !ok, 0))
        event_closed_slow(number, closing, ok, caller);
}
/* All in the range are about to be closed by one call. */
void event_closing_range(unsigned first, unsigned last, const char *how, struct caller caller);
/* A file is about to be put onto the number. True: where that fails, close it. */
bool event_replacing(int number);

/* The number is kept from reuse: to the calling process it is closed. */
bool event_is_kept_slow(int number);
static inline bool event_is_kept(int number)
{
    return __builtin_expect(descriptor_is_kept(number), 0) && event_is_kept_slow(number);
}

/* The same, since before that moment. */
static inline bool event_is_kept_since(int number, uint64_t ticks)
{
    return event_is_kept(number) && descriptors[number].now.end.ticks < ticks;
}

/* A FILE or DIR owns the number from now on. */
void event_stream_opened(int number, const void *stream);
/* It is about to be closed by `how`, and its descriptor with it. True: the descriptor is closed
 * already, so the call cannot succeed. */
bool event_stream_closing(int number, const void *stream, const char *how, struct caller caller);

/* shutdown() succeeded: whoever waits has been told. */
void event_shut(int number);

/* A child that shares our memory is about to be made. */
void event_sharing_child(void);

/* A call on a descriptor failed with EBADF. is_probe: the call only asks whether it is open. */
void event_use_failed(int number, const char *function, bool is_probe, struct caller caller);

/* Around calls that may wait. */
struct descriptor_use {
    struct thread_call *call; /* NULL: not noted */
    int number;
    uint64_t word;
};

/* The call failed with EBADF. */
void event_use_ended_badly(const struct descriptor_use *use, const char *function,
                           struct caller caller);
/* The number is closed, or another's. */
void event_use_changed(const struct descriptor_use *use, const char *function,
                       struct caller caller);

static inline __attribute__((always_inline)) void descriptor_note_call(struct thread_call *call,
                                                                       uint32_t number,
                                                                       const char *function,
                                                                       struct caller caller)
{
    call->function = function;
    call->address = caller.address;
    call->slot = caller.slot;
    atomic_store_explicit(&call->number, number, memory_order_release);
}

/* The calling thread's record, or NULL where a signal handler interrupted a call that has it. */
static inline __attribute__((always_inline)) struct thread_call *
descriptor_free_call(struct caller caller)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(block == NULL || guard.inside != 0, 0))
        return NULL;
    if (__builtin_expect(atomic_load_explicit(&block->call.number, memory_order_relaxed) != 0 &&
                             caller.slot < block->call.slot,
                         0))
        return NULL;
    return &block->call;
}

static inline __attribute__((always_inline)) struct descriptor_use
event_use_begin(int number, const char *function, struct caller caller)
{
    struct descriptor_use use = {NULL, number, 0};
    if (__builtin_expect(!descriptor_in_range(number), 0))
        return use;
    use.word = descriptor_word(number);
    use.call = descriptor_free_call(caller);
    if (__builtin_expect(use.call != NULL, 1)) {
        thread_reference self = guard.block->reference;
        if (atomic_load_explicit(&descriptors[number].user, memory_order_relaxed) != self)
            atomic_store_explicit(&descriptors[number].user, self, memory_order_relaxed);
        use.call->generation = descriptor_generation(use.word);
        descriptor_note_call(use.call, (uint32_t)number + 1, function, caller);
    }
    return use;
}

/* waits: the call tells of the descriptor when it ends, so that it must still be the same. */
static inline __attribute__((always_inline)) void event_use_end(const struct descriptor_use *use,
                                                                bool failed, bool waits,
                                                                const char *function,
                                                                struct caller caller)
{
    if (__builtin_expect(!descriptor_in_range(use->number), 0))
        return;
    if (__builtin_expect(use->call != NULL, 1))
        atomic_store_explicit(&use->call->number, 0, memory_order_release);
    uint64_t now = descriptor_word(use->number);
    if (__builtin_expect(failed, 0) && errno == EBADF)
        event_use_ended_badly(use, function, caller);
    else if (__builtin_expect(descriptor_state_of(now) == DESCRIPTOR_CLOSED ||
                                  descriptor_generation(now) != descriptor_generation(use->word),
                              0) &&
             waits)
        event_use_changed(use, function, caller);
}

/* The same for poll and select: sets[0] of poll is its array. NULL: not noted. */
static inline struct thread_call *event_wait_begin(const void *first, const void *second,
                                                   const void *third, uint64_t count,
                                                   const char *function, struct caller caller)
{
    struct thread_call *call = descriptor_free_call(caller);
    if (call == NULL || descriptor_count == 0)
        return NULL;
    guard.block->closes.caller = 0; /* a loop that closes all does not wait */
    call->sets[0] = first;
    call->sets[1] = second;
    call->sets[2] = third;
    call->count = count;
    call->ticks = clock_ticks();
    descriptor_note_call(call, THREAD_CALL_SETS, function, caller);
    return call;
}

static inline void event_wait_end(struct thread_call *call)
{
    if (call != NULL)
        atomic_store_explicit(&call->number, 0, memory_order_release);
}

#endif
