/* Detect: turns evidence into findings, one file for each kind. Detectors only fill the finding;
 * the event layer reports it. Plain computation, async-signal-safe. */
#ifndef OUTLIVE_DETECT_DETECT_H
#define OUTLIVE_DETECT_DETECT_H

#include "base/text.h"
#include "heap/quarantine.h"
#include "registry/callback.h"
#include "registry/descriptor.h"
#include "registry/destroyed_lock.h"
#include "registry/library.h"
#include "registry/need.h"
#include "registry/static_object.h"
#include "registry/thread_stack.h"
#include "registry/touch.h"
#include "registry/use.h"
#include "report/finding.h"

enum access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_CALL,
    ACCESS_LOCK,
    ACCESS_SYSTEM,
    ACCESS_FREE,
    ACCESS_DESTROY, /* a destructor was entered */
    ACCESS_MEMBER,  /* a watched member function was entered */
};

/* What a thread just did. */
struct touch {
    const struct thread *thread;
    struct stack stack;
    enum access access;
    bool modifies; /* a write that reads as well */
    uintptr_t address;
    const char *function; /* the lock or system function, NULL for plain accesses */
};

/* late-touch or use-after-free: a dead guarded object. object NULL: its record was reused. */
void detect_dead_object(struct finding *finding, const struct touch *touch,
                        const struct object *object);
/* The same for a block in the quarantine, by a true poison word of it; offset in bytes. */
void detect_freed_block(struct finding *finding, const struct touch *touch,
                        const struct block *block, uint64_t offset);
/* The same for a dead static object: by its poison, or by an address in it. */
void detect_static_object(struct finding *finding, const struct touch *touch,
                          const struct static_object *object, uint64_t offset, bool by_pointer);
void detect_static_destroyed_twice(struct finding *finding, const struct touch *touch,
                                   const struct static_object *object);
/* The same for the dead stack of a finished thread, by an address in it. */
void detect_thread_stack(struct finding *finding, const struct touch *touch,
                         const struct thread_stack *stack);
void detect_late_write(struct finding *finding, const struct touch *noticed,
                       const struct block *block, uint32_t word, uint64_t found);
/* offset: of the pointer that was never written, in bytes. */
void detect_uninitialised_pointer(struct finding *finding, const struct touch *touch,
                                  const struct object *object, uint64_t offset);
/* Exactly one of object (dead; NULL with its record reused) and block. */
void detect_double_free(struct finding *finding, const struct touch *touch,
                        const struct object *object, const struct block *block);
void detect_invalid_free(struct finding *finding, const struct touch *touch,
                         const struct object *object);
/* object: the guarded object that holds `self`, or NULL. */
void detect_pure_virtual_call(struct finding *finding, const struct touch *touch,
                              const struct object *object, const void *self);
/* touch->address is the `this` that a destructor was entered with. */
void detect_wild_destructor(struct finding *finding, const struct touch *touch);
/* Exactly one of object (dead; NULL with its record reused) and block. */
void detect_double_destruction(struct finding *finding, const struct touch *touch,
                               const struct object *object, const struct block *block);
/* The object is about to be freed, its end is known. `inside` is what the thread does in it: touch
 * NULL, a member function; `stack`: what it does right now. */
void detect_touch_during_destruction(struct finding *finding, const struct thread *thread,
                                     const struct object *object, const struct thread_touch *touch,
                                     const struct thread_member *member, const struct stack *stack);
/* A descriptor's number, and the life that the finding is about; what follows in the number's
 * history is in the rest. touch->function is the call. */
struct descriptor_touch {
    int number;
    struct descriptor_life life;
    struct descriptor_event other; /* the close before, or the new owner's birth, if any */
    const char *other_made;        /* for a close: how what it ended had been made */
};
void detect_double_close(struct finding *finding, const struct touch *touch,
                         const struct descriptor_touch *descriptor);
/* is_probe: the call only asks whether the number is open. aborted: and the thread aborted. */
void detect_use_after_close(struct finding *finding, const struct touch *touch,
                            const struct descriptor_touch *descriptor, bool is_probe, bool aborted);
void detect_reused_descriptor(struct finding *finding, const struct touch *touch,
                              const struct descriptor_touch *descriptor);
/* touch: of the thread that waits; life.end: of now. */
void detect_close_while_in_use(struct finding *finding, const struct touch *touch,
                               const struct descriptor_touch *descriptor);
void detect_stream_descriptor_closed(struct finding *finding, const struct touch *touch,
                                     const struct descriptor_touch *descriptor);
/* touch: of a thread whose stack, or whose start routine, leads back into the library. */
void detect_unload_while_in_use(struct finding *finding, const struct touch *touch,
                                const struct library *library, bool by_start);
/* A function that was asked for and is unloaded. */
enum registered_sort {
    REGISTERED_SIGNAL = CALLBACK_SIGNAL,
    REGISTERED_KEY = CALLBACK_KEY,
    REGISTERED_TIMER = CALLBACK_TIMER,
    REGISTERED_EXIT,
};
struct registered {
    enum registered_sort sort;
    uint32_t number; /* of the signal */
    uintptr_t function;
    struct library_event by;
    thread_reference holder; /* a thread with a value under the key */
};
/* touch: the dlclose. */
void detect_unload_while_registered(struct finding *finding, const struct touch *touch,
                                    const struct library *library,
                                    const struct registered *registered);
/* registered: what the function was, or NULL. mapped: something else is at the address now. */
void detect_use_after_unload(struct finding *finding, const struct touch *touch,
                             const struct library *library, const struct registered *registered,
                             bool mapped);
/* A thread that holds a lock, or waits for one. */
struct lock_use {
    const struct thread *thread;
    uintptr_t address; /* of the lock */
    enum lock_sort sort;
    bool holds;              /* and does not wait */
    struct held_lock held;   /* address 0: the call is not known */
    struct thread_wait wait; /* where it does not hold */
    struct stack stack;      /* of the call that took it, or waits; may be its first frames */
    struct stack now;        /* what a holder does now */
};
/* object: the guarded object that the lock lies in, or NULL. */
void detect_use_after_destroy(struct finding *finding, const struct touch *touch,
                              const struct destroyed_lock *lock, const struct object *object);
/* An object that lives no more is what is destroyed, with the lock in it. */
void detect_destroy_while_in_use(struct finding *finding, const struct lock_use *use,
                                 const struct touch *destroyer, const struct object *object);
void detect_lock_held_at_end(struct finding *finding, const struct lock_use *use,
                             const struct object *object);
/* kind: one of those of a thread's handle; owner: a copy of the record of the thread whose it is,
 * or was. at_once: another thread is joining it now. */
void detect_thread_handle(struct finding *finding, enum kind kind, const struct touch *touch,
                          const struct thread *owner, bool at_once);
void detect_thread_leak(struct finding *finding, const struct touch *noticed,
                        const struct thread *first, uint32_t count);
/* std::terminate was called; count: how many joinable threads' handles lie near the call. */
void detect_joinable_destroyed(struct finding *finding, const struct touch *touch,
                               const struct thread *owner, uint32_t count);
/* touch->address: where the object was; guarded: the live heap object that it lies in, or NULL. */
void detect_use_after_death(struct finding *finding, const struct touch *touch,
                            const struct annotated_object *object, const struct object *guarded);
/* `end` ends the annotated object; where that is NULL, the guarded one is freed. now: what the
 * thread that needs it does. */
void detect_death_while_needed(struct finding *finding, const struct thread *thread,
                               const struct need *need, const struct annotated_object *object,
                               const struct object *guarded, const struct touch *end,
                               const struct stack *now);
/* A thread, and an object that it uses and another one has destroyed. */
enum late_way { /* by which it still comes to the object */
                LATE_WAY_NONE,
                LATE_WAY_FRAME,         /* a register or a slot of a small frame */
                LATE_WAY_FRAME_POINTED, /* a live object that one of these points to */
                LATE_WAY_STATIC,
                LATE_WAY_POINTED, /* what its start argument points to */
                LATE_WAY_ARGUMENT,
};
/* Whether something seen orders the thread's last use before the destruction. */
enum late_order { LATE_ORDER_UNKNOWN, LATE_ORDER_NONE, LATE_ORDER_BEFORE };
struct late_thread {
    const struct thread *thread;
    const struct object *object;
    struct use use;
    uint32_t rounds; /* uses with a wait since the one before */
    bool asleep;     /* at the destruction, in a call with a timeout, where it is between uses */
    bool ended;      /* before the destruction */
    enum late_way way;
    enum late_order order;
    uint32_t now; /* kept stack: where it slept */
    bool imminent;
};
void detect_late_thread(struct finding *finding, const struct late_thread *late);
/* touch: what the thread does that began the shutdown, or another that waits. */
void detect_hung_shutdown(struct finding *finding, const struct touch *touch, uint64_t seconds);
/* what: 'SIGSEGV at a null pointer', 'abort', ... */
void detect_shutdown_crash(struct finding *finding, const struct touch *touch, const char *what,
                           bool by_null_pointer);

/* Shared by the files of this folder. */
void finding_start(struct finding *finding, enum kind kind, const struct touch *touch);
void finding_add_object(struct finding *finding, const struct object *object);
void finding_add_block(struct finding *finding, const struct block *block);
void finding_add_thread(struct finding *finding, const struct thread *owner);
struct text sentence_of(struct finding *finding);
struct text evidence_of(struct finding *finding);
void write_thread(struct text *text, const struct actor *actor); /* thread T3 'monitor' */
void write_what(struct text *text, const struct finding *finding);
void write_when(struct text *text, const struct finding *finding);
/* By the time and the thread. */
struct in_handler handler_at(const struct moment *moment);
void write_access(struct text *text, const struct finding *finding, const struct touch *touch,
                  bool by_pointer);

#endif
