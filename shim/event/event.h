/* Event: the one pipeline. A hook tells an event; it updates the registry, asks the detectors, and
 * reports. Unless said otherwise call these between guard_enter() and guard_leave(). A function
 * whose finding stops the program does not return. */
#ifndef OUTLIVE_EVENT_EVENT_H
#define OUTLIVE_EVENT_EVENT_H

#include "base/options.h"
#include "detect/detect.h"
#include "heap/arena.h"
#include "heap/quarantine.h"
#include "registry/callback.h"
#include "registry/exit_handler.h"
#include "registry/library.h"
#include "registry/site.h"
#include "registry/thread_stack.h"

/* The allocator below the shim, resolved by the capture layer. */
struct allocator {
    void (*release)(void *address);
    size_t (*usable)(void *address);        /* 0: unknown */
    size_t (*usable_of_new)(void *address); /* the same for what operator delete ends */
    /* Whether a return address lies in the allocator itself, which relies on what it gets. */
    bool (*is_caller)(uintptr_t address);
    /* Whether it lies in an operator new that has no hook: what it gets is memory from new. */
    bool (*is_new)(uintptr_t address);
};

/* heap: whether the hooks see the program's allocations at all. */
bool event_start(const struct options *options, const struct allocator *allocator, bool heap);

/* False: the program's allocations do not all pass the hooks; they must leave the heap alone. */
extern bool event_heap_watched __attribute__((visibility("hidden")));

#define EVENT_CLOCK_MASK 127 /* the coarse clock is looked after once in so many allocations */

/* The two that every allocation and free pay for are called without the guard; their usual cases
 * are here. */
void *event_allocate_slow(size_t size, size_t alignment, enum origin origin, struct caller caller);
bool event_free_slow(void *address, enum origin end, struct caller caller);

/* The thread's next allocation takes the slow way. */
static inline void event_next_is_slow(struct thread_block *block)
{
    uint64_t skipped = EVENT_CLOCK_MASK - (block->allocations & EVENT_CLOCK_MASK);
    block->allocations += skipped;
    block->skipped += skipped;
}

/* A place of its own for this allocation, or NULL: use the program's allocator. */
static inline __attribute__((always_inline)) void *
event_allocate(size_t size, size_t alignment, enum origin origin, struct caller caller)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(!event_heap_watched, 0))
        return NULL;
    if (__builtin_expect(block != NULL && guard.inside == 0, 1) &&
        __builtin_expect((++block->allocations & EVENT_CLOCK_MASK) != 0, 1)) {
        const struct site *site = site_cached(site_cache_entry(caller), caller);
        if (__builtin_expect(site != NULL && site_is_spent(site), 1))
            return NULL;
    }
    return event_allocate_slow(size, alignment, origin, caller);
}

/* True: the shim took the block; false: the real free is to be called. */
static inline __attribute__((always_inline)) bool event_free(void *address, enum origin end,
                                                             struct caller caller)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(block != NULL && guard.inside == 0, 1) && quarantine_skips(block) &&
        __builtin_expect(!arena_contains(address) &&
                             !poison_looks_like((uint64_t)(uintptr_t)address) &&
                             !poison_looks_like(*(const uint64_t *)address),
                         1))
        return false;
    return event_free_slow(address, end, caller);
}

/* True: a free by the calling thread would pass the quarantine by; it counts as one. */
static inline bool event_in_burst(void)
{
    return guard.block != NULL && quarantine_skips(guard.block);
}
void event_finish_frees(void);
/* The calling thread's finding about a descriptor waited until now: see held.c. */
void event_held_slow(void);

/* Detached threads have ended: are they gone? Without the guard. */
void event_threads_leaving(void);

/* The calling thread has waited for something, or is about to: its burst of frees, if any, is over.
 */
static inline void event_waited(void)
{
    struct thread_block *block = guard.block;
    if (__builtin_expect(atomic_load_explicit(&thread_stacks_leaving, memory_order_relaxed) != 0,
                         0))
        event_threads_leaving();
    quarantine_end_burst();
    if (block == NULL)
        return;
    if (__builtin_expect(block->has_waiting, 0))
        event_finish_frees();
    if (__builtin_expect(atomic_load_explicit(&block->held, memory_order_relaxed) != 0, 0))
        event_held_slow();
}
/* Tries to resize a guarded object where it is. */
bool event_resize(struct object *object, size_t size);

struct thread *event_thread_create(void *entry, void *argument, enum thread_origin origin,
                                   struct caller caller);
void event_thread_end(void);
/* Whether a thread that is to be created should have a stack of the shim's; and one, or NULL. */
bool event_thread_wants_stack(const struct thread *thread);
struct thread_stack *event_thread_stack(struct thread *thread, size_t size, size_t guard_size);

/* Joins, detaches and other uses of a thread's handle, told before the call. Without the guard.
 * gone: the handle's thread is no more; leave the call out, it would touch what is not there. */
struct join {
    struct thread *thread; /* NULL: not known */
    thread_reference reference;
    struct thread_stack *stack; /* the shim's, that it runs on; NULL: none */
    bool gone;
};
enum handle_use { HANDLE_JOINED, HANDLE_DETACHED, HANDLE_CANCELLED, HANDLE_USED };
/* has_end: the call does not wait for ever. */
struct join event_join_begins(pthread_t handle, bool has_end, const char *function,
                              struct caller caller);
void event_join_ended(const struct join *join, int failure, const char *function,
                      struct caller caller);
bool event_handle_used(pthread_t handle, enum handle_use use, const char *function,
                       struct caller caller);

/* Around a call that detaches the thread with that handle: the shim's stack that it runs on, or
 * NULL; and whether it did. Without the guard. */
struct thread_stack *event_stack_of(pthread_t handle);
void event_detached(struct thread_stack *stack, bool ok);

/* The program calls std::terminate; words: its registers, of which the first is the stack pointer
 * at the call. Without the guard. */
void event_terminate(const uintptr_t *words, size_t count, struct caller caller);

/* Any context; sign is a static text. */
void event_shutdown(const char *sign);
/* Before the process ends by exit, _exit or the like: looks for late writes, waits for reports and
 * writes the summary. last: nothing of the program runs after this. */
void event_exit(bool last);

/* A signal is about to end the process. Any context. */
void event_dying(void);

/* A lock function was entered on that address, where something dead seems to be. Call without the
 * guard. */
void event_lock_slow(const void *address, bool is_spin, const char *function, struct caller caller);

/* After a system call that failed with EFAULT or did less than asked: the first byte the kernel
 * did not reach. Call without the guard. */
void event_buffer(const void *address, const char *function, struct caller caller);
/* After a call by which the kernel read `address`: freed memory was sent. Without the guard. */
void event_sent(const void *address, size_t length, const char *function, struct caller caller);

/* A destructor, or a watched member function, whose entry is at `function` was entered with that
 * `this`; caller is its own. has_this: it is known to be no static member function, whose first
 * argument would be taken for it. Call both without the guard. */
extern unsigned event_address_bits __attribute__((visibility("hidden"))); /* of user addresses */
void event_destructor_entered(uintptr_t function, void *self, struct caller caller);
void event_member_entered(uintptr_t function, bool has_this, void *self, struct caller caller);
/* Every destructor's entry is to be told, not only those of what may be dead. */
extern bool event_sees_all_destructors __attribute__((visibility("hidden")));
/* How many destructors and member functions tell, for the coverage line. */
extern uint32_t event_destructors_seen __attribute__((visibility("hidden")));
extern uint32_t event_members_watched __attribute__((visibility("hidden")));

/* Before and after a call that takes a lock in memory of the arena, or waits for it; is_mutex: it
 * is a pthread_mutex_t. Without the guard. */
struct thread_touch *event_touch_begin(const void *address, bool is_mutex, const char *function,
                                       struct caller caller);
static inline void event_touch_end(struct thread_touch *touch)
{
    touch_end(touch);
}
/* Some thread is destroying an object: locks that are free are kept, too. */
static inline bool event_destroying(void)
{
    return destruction_any();
}

/* dlopen was entered, with this return slot; for that file. Without the guard. */
void event_loading(struct caller caller);
void event_opening(const char *file, struct caller caller);
/* dlclose was entered, with this return slot; and it has returned. Gives and takes what the thread
 * was in before. Without the guard. */
struct thread_unloading event_unloading(struct caller caller);
void event_unloaded(struct thread_unloading outer);

/* The program has asked for that function to be called; 0: it takes that back. Worth telling once
 * library_any_opened is set. And what it does with keys and timers of which some callback was kept
 * (callbacks_any). All without the guard. */
void event_callback(enum callback_sort sort, uint32_t number, uintptr_t function,
                    struct caller caller);
void event_key_value(uint32_t key, bool holds);
void event_timer_made(uint32_t number, uintptr_t timer);
void event_timer_fired(uint32_t number);

/* An exit handler is registered: the record to call in its place, or NULL where there is no memory
 * for one. At any time, without the guard: from inside the program's allocator, or before
 * event_start(). */
struct exit_handler *event_exit_registered(uintptr_t function, uintptr_t argument,
                                           uintptr_t library, struct caller caller);
void event_exit_dropped(struct exit_handler *handler); /* it could not be registered */
/* Around the call of a handler, at exit or because its library is unloaded; caller: libc's. In the
 * end a static object of the handler is dead. Without the guard. */
void event_exit_handler_begins(struct exit_handler *handler, bool unloading, struct caller caller);
void event_exit_handler_ended(struct exit_handler *handler, bool unloading, struct caller caller);

/* Set by the capture layer: the calling thread is in dlopen, or was; caller: of its allocation.
 * True: it still is. Between guard_enter() and guard_leave(). */
extern bool (*event_look_at_libraries)(struct thread_block *block, struct caller caller)
    __attribute__((visibility("hidden")));

void event_pure_virtual(void *self, struct caller caller);

/* A fault or fatal signal, as the capture layer understood it. */
struct fault {
    int signal;
    bool sent;        /* by kill, raise or abort, not by an instruction */
    bool has_address; /* the kernel told one */
    uintptr_t address;
    enum access access;
    bool modifies;     /* a write that reads as well */
    uint64_t words[4]; /* register values that form the faulting operand's address */
    size_t word_count;
    uintptr_t stack_pointer;
    struct stack stack;
};

/* Any context. True: the cause is gone, run the instruction again. False: the fault is the
 * program's own; tell its handler. */
bool event_fault(const struct fault *fault);

/* For who would ask a thread by a signal for its stack: the call that it waits in would look at its
 * futex again, and libc aborts where that is gone meanwhile. True: the thread waits on a futex in
 * guarded memory; its stack is what its hook noted, empty where none did. */
bool event_waits_in_object(pid_t tid, struct stack *stack);

void event_prepare_fork(void);
void event_forked(bool child);

#endif
