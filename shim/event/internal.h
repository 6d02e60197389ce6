/* Shared by the files of event/ only. */
#ifndef OUTLIVE_EVENT_INTERNAL_H
#define OUTLIVE_EVENT_INTERNAL_H

#include "event/event.h"
#include "registry/static_object.h"
#include "report/report.h"

void heap_events_start(const struct options *options, const struct allocator *allocator);
/* Frees that the thread was told of and that its quarantine has not taken yet. */
void finish_frees(struct thread_block *owner);
void tell_late_write(const struct block *block, uint32_t word, uint64_t found);

/* By the caller of a hook; report_prepared() ends it. */
void capture_touch(struct touch *touch, enum access access, const void *address,
                   const char *function, struct caller caller);
/* Reports; does not return where the finding stops the program. */
void report_or_stop(struct finding *finding);
/* The same after report_prepare(). */
void report_and_go_on(struct finding *finding);
/* From when the object's end is filled in until its memory is taken away: who is still in it? */
void tell_touches(struct object *object);
/* Who holds a lock in it, or waits for one, where nobody was told by tell_touches(). */
void tell_lock_users(struct object *object);
/* The calling thread ends: which locks does it hold? */
void tell_locks_at_end(void);
/* A lock was entered whose first words look like a destroyed one's. True: it was one, and told. */
bool tell_destroyed_lock(const void *address, bool is_spin, const char *function,
                         struct caller caller);
/* At exit: threads that ended and were never joined. */
void tell_thread_leaks(void);
/* hung_shutdown.c: the shutdown phase has begun, maybe in a signal handler. */
void watch_shutdown(void);
void hung_shutdown_start(const struct options *options);
void hung_shutdown_forked(void);
/* What ends the program was told as another kind: no shutdown-crash. */
void crash_is_told(void);
/* The address is a return address into the program's allocator itself. */
bool is_allocators(uintptr_t address);
/* A destructor was entered while an array may be destroyed. */
void note_destructor(uintptr_t function, uintptr_t self);
/* A touch of a dead static object, at an offset; by_pointer: of its poison, which was found there.
 */
void tell_static(const struct touch *touch, struct static_object *object, uint64_t offset,
                 bool by_pointer);
/* The dead object that holds the address, if no new one was seen to be made there; or NULL. */
struct static_object *static_untouched(const void *address);
/* A new object may have been made in its place since, without a trace. */
bool static_may_be_new(const struct static_object *object);
/* A fault at touch->address: true where it was a dead static object's, and is to be run again. */
bool fault_in_static(const struct touch *touch);
void thread_stack_events_start(const struct options *options);
/* The same for the dead stack of a finished thread; stack_pointer: of the thread that faulted. */
bool fault_in_thread_stack(const struct touch *touch, uintptr_t stack_pointer);
/* A system call failed on touch->address: told where that is such a stack. */
void buffer_in_thread_stack(const struct touch *touch);
void unload_forked(void);
/* A fault at touch->address: true where a library was that is unloaded; told. */
bool fault_in_unloaded(const struct touch *touch);
/* If the word is true poison: reports what it names and returns true. */
bool report_poison(const struct touch *touch, uint64_t word);

#endif
