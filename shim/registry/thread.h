/* Thread: every thread of the process from birth to end, and the large private memory that the
 * shim gives each. Records of finished threads are kept for reports, and reused oldest first, so
 * ten thousand short threads need no more memory than a few. Functions take the registry's lock
 * unless they say otherwise: call them between guard_enter() and guard_leave(). */
#ifndef OUTLIVE_REGISTRY_THREAD_H
#define OUTLIVE_REGISTRY_THREAD_H

#include "base/lock.h"
#include "registry/close_run.h"
#include "registry/guard.h"
#include "registry/stack_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

/* Names a record for ever: a record that was reused no longer answers to it. 0 names none. */
typedef uint32_t thread_reference;

enum thread_state {
    THREAD_UNUSED,
    THREAD_STARTING, /* pthread_create was called, the thread has not run yet */
    THREAD_RUNNING,
    THREAD_FINISHED,
};

enum thread_origin {
    THREAD_MAIN,
    THREAD_CREATED,  /* pthread_create, thrd_create, std::thread */
    THREAD_APPEARED, /* clone, or made inside libc: known from its first event */
    THREAD_TIMER,    /* made by libc for a SIGEV_THREAD notification */
};

enum thread_ending { THREAD_RETURNED, THREAD_EXITED, THREAD_CANCELLED };

/* A call that waits for, or takes, a lock in a guarded object; written by the thread itself. */
struct thread_touch {
    _Atomic uint32_t object; /* its number; 0: none */
    _Atomic bool inside;     /* the call has not returned */
    bool is_mutex;
    uintptr_t address;      /* of the lock */
    uintptr_t caller, slot; /* the return address of the call, and where it stands */
    const char *function;   /* a static text */
    uint32_t stack;         /* kept */
    uint64_t ticks;
};
#define THREAD_TOUCHES 4

/* A watched member function that was entered. */
struct thread_member {
    uintptr_t function, self;
    uintptr_t slot, address; /* of and in its return slot */
    uint64_t ticks;
};
#define THREAD_MEMBERS 4

/* The call on a descriptor that the thread is inside of: plain stores by the thread itself, read by
 * a thread that closes the descriptor. */
struct thread_call {
    _Atomic uint32_t number; /* of the descriptor, + 1; THREAD_CALL_SETS; 0: in none */
    uint64_t generation;     /* of the descriptor */
    const char *function;    /* a static text */
    uintptr_t address, slot; /* of the caller */
    const void *sets[3];     /* what poll (the first) or select was given */
    uint64_t count;          /* of the numbers in them */
    uint64_t ticks;          /* of the entry, for sets */
};
#define THREAD_CALL_SETS UINT32_MAX

/* The innermost dlclose that runs. */
struct thread_unloading {
    uintptr_t slot, address; /* of and in its return slot; 0: none */
    uint32_t stack;          /* of its caller, kept */
};

/* What is told apart; `lock` stands for any of them. */
enum lock_sort {
    LOCK_MUTEX,
    LOCK_RWLOCK,
    LOCK_CONDITION,
    LOCK_SEMAPHORE,
    LOCK_BARRIER,
    LOCK_SPIN,
};

enum held_how { HELD_MUTEX, HELD_READ, HELD_WRITE, HELD_SPIN };

/* A lock that the thread has taken: see held_lock.h. */
struct held_lock {
    uintptr_t address; /* 0: none */
    uint64_t call;
};
#define THREAD_LOCKS 64

/* Locks in enum lock_sort's order. */
enum wait_for {
    WAIT_NONE,
    WAIT_THREAD,
    WAIT_MUTEX,
    WAIT_RWLOCK,
    WAIT_CONDITION,
    WAIT_SEMAPHORE,
    WAIT_BARRIER,
    WAIT_DESCRIPTOR,  /* noted as a thread_call; `address` is its number */
    WAIT_DESCRIPTORS, /* several */
};

/* The call that the thread waits in for another thread; see wait.h. */
struct thread_wait {
    _Atomic uint32_t what;   /* enum wait_for */
    uint32_t stack;          /* kept, or 0 */
    bool has_end;            /* a join that does not wait for ever */
    const char *function;    /* a static text */
    uintptr_t address;       /* of the lock, or the thread's handle */
    uintptr_t mutex;         /* of a condition variable's wait */
    thread_reference target; /* the thread that is joined */
    uintptr_t caller, slot;
    uint64_t ticks;
};

#define THREAD_NAME_SIZE 16 /* with NUL: TASK_COMM_LEN in the kernel's linux/sched.h */

struct exit_handler;
struct thread_stack;

struct thread {
    enum thread_state state;
    enum thread_origin origin;
    enum thread_ending ending;
    thread_reference reference;
    uint32_t serial; /* 0 for the main thread: the number in T3 */
    pid_t tid;       /* 0 until it runs */
    pthread_t handle;
    void *entry; /* the program's start routine */
    void *argument;
    thread_reference creator;
    uint32_t start_stack; /* stack depot */
    uint64_t start_ticks, end_ticks;
    uint64_t detached_ticks, joined_ticks, cancel_ticks; /* 0: never */
    thread_reference joiner, canceller, detacher;
    uint32_t join_stack, detach_stack; /* of the last call that began */
    size_t stack_size, guard_size;     /* 0: the default */
    uint32_t inherited_blocked;        /* see guard.blocked */
    /* libc's own thread that waits for its timers: libunwind's locks would open signal 32
     * (SIGTIMER, glibc's internal-signals.h) for a moment, and it would be killed by it. */
    bool keeps_libc_signals;
    bool has_handle, detached, joined, joining;
    /* The guarded object, by its number, whose destructor it entered and that is not freed yet: the
     * outermost; 0: none. And that destructor's return address, in its slot. */
    uint32_t destroys;
    uintptr_t destroys_slot, destroys_return;
    struct thread_touch touches[THREAD_TOUCHES];
    struct thread_member members[THREAD_MEMBERS]; /* the innermost last */
    uint32_t member_count;
    struct exit_handler *exit_handler; /* the innermost that it is in; see exit_handler.h */
    char name[THREAD_NAME_SIZE];
    uint32_t next; /* slot + 1 of the next in the handle's chain or the queue of the finished */
    uint32_t previous;
    struct thread_block *block;
    struct thread_stack *stack; /* that the shim lent it, or NULL; see thread_stack.h */
};

/* A free of the shutdown phase whose block has not been looked at yet. */
struct waiting_free {
    void *address; /* NULL: none */
    uint32_t where, end;
};
#define WAITING_FREES 8

/* What a thread needs in its hot paths; one mapping each, pooled, never moved while in use. */
struct thread_block {
    uint32_t number;            /* from 0; selects the thread's ring in the quarantine */
    thread_reference reference; /* of its present user */
    uint32_t quarantine_head, quarantine_count;
    uint32_t quarantine_skip; /* frees that pass it by before the next one enters */
    uint32_t quarantine_left; /* frees that all enter, as of */
    uint64_t quarantine_ticks;
    uint32_t quarantine_waits; /* waits that may still let one enter, since */
    uint64_t waited_ticks;
    size_t quarantine_bytes;
    uint32_t batch_next, batch_left; /* records of the shutdown phase that it has for itself */
    size_t batch_bytes;              /* of blocks in the batch so far */
    struct waiting_free waiting[WAITING_FREES];
    uint32_t waiting_next; /* the oldest: where the next goes */
    bool has_waiting;
    uint64_t allocations, frees; /* of this thread and of earlier users of the block */
    uint64_t skipped;            /* of `allocations`: counted on, for a look at something */
    struct thread_block *next_free;
    struct stack_cache stacks;
    char *signal_stack;
    struct thread_call call;
    struct held_lock locks[THREAD_LOCKS];
    uint32_t lock_sites;     /* call paths that may still be looked for */
    uint64_t lock_sites_now; /* coarse milliseconds at the last look */
    struct thread_wait wait;
    struct close_run closes, probes; /* of descriptors */
    _Atomic uint32_t held;           /* a finding about descriptors waits: see event/held.c */
    /* Where dlopen was entered, while its end has not been noticed: return slot and address. */
    uintptr_t loading_slot, loading_return;
    struct thread_unloading unloading;
    _Atomic uintptr_t asks; /* the handle that a call of its is on: see thread_stack.h */
};

#define THREAD_BLOCKS_MAXIMUM 1024
#define THREAD_SIGNAL_STACK_SIZE ((size_t)128 * 1024)

/* Called in each thread that registers itself on its first event, once it has its block. Set at
 * start, by the capture layer. */
extern void (*thread_appeared)(void);

/* Registers the calling thread as the main thread. Once. False: no memory, watch nothing. */
bool thread_start(void);

/* The calling thread, registered on its first event as `appeared`. NULL only when the tables are
 * full or the thread has ended its life in the registry. */
struct thread *thread_current(void);

/* The calling thread in a fault. A thread made by a raw clone shares another's thread-local
 * storage: its thread id tells, and it gets a record that is bound to nothing. */
struct thread *thread_of_caller(void);

/* Creation, told before the real call; the record is passed to thread_begin() in the new thread,
 * or to thread_failed(). NULL when the tables are full. */
struct thread *thread_create(void *entry, void *argument, uint32_t start_stack,
                             enum thread_origin origin);
void thread_failed(struct thread *thread);
/* In the new thread, first. */
void thread_begin(struct thread *thread);
/* In the creator after the call, or in the thread itself: whichever is first. */
void thread_set_handle(struct thread *thread, pthread_t handle);
/* In the ending thread, last; its block goes back to the pool unless keep_block. Leaves the guard
 * closed: later hooks in this thread pass through. */
void thread_end(bool keep_block);
/* How the current thread will end, as far as is known. */
void thread_ending(enum thread_ending ending);

/* The unjoined thread with that handle, or NULL. */
struct thread *thread_of_handle(pthread_t handle);
/* Where there is none: the last thread that had the handle and has ended, and was joined or
 * detached; or NULL, where none is known or the handle may be a thread's that was never seen. The
 * record is copied: it may be reused at any time. */
bool thread_of_ended_handle(pthread_t handle, struct thread *copy);
/* A thread was created unseen: what becomes of handles is known no longer. */
void thread_created_unseen(void);
void thread_joining(struct thread *thread, uint32_t stack); /* before a join that may wait */
void thread_join_ended(struct thread *thread, bool ok);     /* after it */
void thread_detached(struct thread *thread, uint32_t stack);
void thread_cancelled(struct thread *thread);

/* NULL where the record has been reused since. No lock: for reports. */
struct thread *thread_of_reference(thread_reference reference);
struct thread *thread_of_tid(pid_t tid);
/* Slots 0 to thread_slots() - 1, for iteration in reports; state THREAD_UNUSED ones are empty. */
uint32_t thread_slots(void);
struct thread *thread_slot(uint32_t slot);
uint32_t thread_count(void); /* ever */
/* Reads the name from the kernel into the record. Async-signal-safe. */
void thread_refresh_name(struct thread *thread);

/* The threads' lock, and the child's view after fork: only the caller is left. */
void thread_prepare_fork(void);
void thread_forked(bool child);

/* Sum over all blocks. */
void thread_totals(uint64_t *allocations, uint64_t *frees);
/* The blocks ever made, for walks at exit; NULL past the last. */
struct thread_block *thread_block_of_number(uint32_t number);

#endif
