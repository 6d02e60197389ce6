/* Thread stack: stacks that the shim lends to threads for which the program has none, so that they
 * can stay dead after the thread: taken away whole, and with them the thread-local storage and
 * libc's own record of the thread, which libc puts at their top. A stack dies when libc and the
 * kernel have let go of it:
 *   - the creator has returned from pthread_create, and
 *   - the thread was joined; or it is detached, the call that detached it has returned, and the
 *     kernel no longer knows the thread (it clears the thread's id in libc's record before that:
 *     CLONE_CHILD_CLEARTID, clone(2)).
 * After that libc has no list that leads there (nptl/nptl-stack.c, __nptl_deallocate_stack: a stack
 * of the user's is not cached). Of a thread that has ended and is not joined yet only the frames
 * die, since libc still needs its record. The oldest dead one goes to the next thread that wants
 * the same sizes once there are enough of them. Takes a lock of its own: between guard_enter() and
 * guard_leave(), unless said otherwise. */
#ifndef OUTLIVE_REGISTRY_THREAD_STACK_H
#define OUTLIVE_REGISTRY_THREAD_STACK_H

#include "registry/stack.h"
#include "registry/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREAD_STACKS 1024          /* lent and dead ones */
#define THREAD_STACK_QUARANTINE 512 /* dead ones, at the most */

#define THREAD_STACK_FRAMES 16 /* that are kept of a pthread_exit */

enum thread_stack_state {
    THREAD_STACK_UNUSED, /* the record is free */
    THREAD_STACK_IDLE,   /* nobody's: in a child, that of a thread which only its parent has */
    THREAD_STACK_LENT,
    THREAD_STACK_DEAD,
};

struct thread_stack {
    _Atomic uint32_t state;
    _Atomic uint32_t generation; /* counts the changes of the state */
    uintptr_t start;             /* of the mapping; the guard lies there */
    size_t size;                 /* of the mapping */
    uintptr_t first, top;        /* what libc was given */
    size_t guard_size;           /* whole pages, as libc reports them */
    uintptr_t entered;           /* the program's frames lie below, thread-local storage above */
    uintptr_t dead_to;           /* from `first` to there it is dead */
    bool created, ended, released, gone; /* see above; gone: joined */
    bool given_up;                       /* it is not asked any more whether the owner is gone */
    bool leaving;                        /* counted in thread_stacks_leaving */
    _Atomic bool opened;                 /* given back after a report */
    uint64_t order;                      /* of the dead: the lowest leaves first */
    uint64_t left_ticks;                 /* since when only the kernel is waited for */
    struct thread owner; /* a copy once it has ended, since records of threads are reused */
    /* The frames that were there at its pthread_exit: the function that returns to frames[i] has
     * what lies between slots[i] and slots[i + 1]. */
    uintptr_t frames[THREAD_STACK_FRAMES], slots[THREAD_STACK_FRAMES];
    size_t frame_count;
    uint32_t end_stack;  /* kept, of its pthread_exit; 0: none */
    uint32_t join_stack; /* kept; 0: not joined */
};

/* How many threads have told their end and may not be gone from the kernel yet. */
extern _Atomic uint32_t thread_stacks_leaving __attribute__((visibility("hidden")));

/* Once, at start. most: dead stacks, 0: none are lent. keep_content: what was dead is to be given
 * back after a report. False: no memory, or 0. */
bool thread_stack_start(uint64_t most, bool keep_content);

/* A stack for a thread that is about to be created, or NULL: libc's own will do. */
struct thread_stack *thread_stack_lend(struct thread *thread, size_t size, size_t guard_size);
/* After the call that created it: whether it did. */
void thread_stack_created(struct thread_stack *stack, bool made);
/* In the thread itself. How far below the stack pointer the program's frames should begin, so that
 * they share no page with what lies above; where they do; and last of all the end. */
size_t thread_stack_padding(uintptr_t pointer);
void thread_stack_entered(uintptr_t frame);
/* The caller calls pthread_exit. */
void thread_stack_exits(struct caller caller);
void thread_stack_ended(void);
/* After the call that joined, or detached, the owner. join_stack: kept. */
void thread_stack_joined(struct thread_stack *stack, uint32_t join_stack);
void thread_stack_detached(struct thread_stack *stack);
/* Looks whether threads have left the kernel. Not while a fork is under way. */
void thread_stack_look(void);
/* Around a call on a handle: libc looks at its record there, with all signals blocked (glibc,
 * nptl/pthread_kill.c), so the stack stays until the call has returned, whoever joins meanwhile.
 * One that never returns holds it until the caller's next such call. Any context, no lock. */
static inline void thread_stack_asks(pthread_t handle)
{
    if (guard.block != NULL)
        atomic_store(&guard.block->asks, (uintptr_t)handle);
}
static inline void thread_stack_asked(void)
{
    if (guard.block != NULL)
        atomic_store(&guard.block->asks, 0);
}

/* Copies the record of the stack that is dead at the address; NULL, or the record itself. No lock,
 * async-signal-safe. */
struct thread_stack *thread_stack_find(uintptr_t address, struct thread_stack *copy);
bool thread_stack_is_dead(uintptr_t address);
/* Gives a dead stack back with its last content; false where that is gone. Async-signal-safe. */
bool thread_stack_reopen(struct thread_stack *stack);
bool thread_stack_keeps_content(void);

/* A thread jumped to the address: if it lies on a living stack that is not executable, but libc has
 * made those that it knows executable since (dlopen of a library that wants it), it becomes so,
 * too. Async-signal-safe. */
bool thread_stack_make_executable(uintptr_t address);

/* From here on none are lent, and the dead ones go back. */
void thread_stack_stop(void);

void thread_stack_prepare_fork(void);
void thread_stack_forked(bool child);

#endif
