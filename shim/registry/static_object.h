/* Static object: the records of objects of static storage whose destructor has run while the
 * process goes on: at exit. Their memory stays where it is, so a record ends when the storage is
 * used anew: by a new object, or because its library is gone. Making one takes a lock (between
 * guard_enter() and guard_leave()); everything else is async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_STATIC_OBJECT_H
#define OUTLIVE_REGISTRY_STATIC_OBJECT_H

#include "registry/exit_handler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STATIC_OBJECTS 16384

enum static_state { STATIC_UNUSED, STATIC_DEAD, STATIC_GONE /* the storage is another object's */ };

struct static_object {
    _Atomic uint32_t state;
    uint32_t number;
    uintptr_t address;
    size_t size;          /* 0 unknown */
    bool by_symbol;       /* its destructor is known for one */
    uintptr_t destructor; /* entry; 0 for arrays */
    thread_reference birth_thread, end_thread;
    uint32_t birth_stack, end_stack;
    uint64_t birth_ticks, end_ticks;
    uint16_t check;      /* of its poison */
    uint32_t poisoned;   /* words */
    uintptr_t protected; /* whole pages that were taken away; their size is 0 where none was */
    size_t protected_size;
};

/* The dead object that a handler leaves, in state STATIC_UNUSED; size 0: unknown. NULL: the table
 * is full. */
struct static_object *static_object_new(uintptr_t address, size_t size);
/* From here on it is found. */
void static_object_publish(struct static_object *object);
struct static_object *static_object_of_number(uint32_t number);
uint32_t static_objects(void); /* ever */

/* The dead object that holds the address, or NULL. */
struct static_object *static_object_find(uintptr_t address);
/* Its storage is used anew. */
void static_object_forget(struct static_object *object);
/* Forgets those whose library was unloaded. Takes the loader's lock. */
void static_objects_sweep(void);

/* A bit for each page that may hold a dead object, by hash. */
#define STATIC_PAGES 8192
extern _Atomic uint64_t static_pages[STATIC_PAGES / 64] __attribute__((visibility("hidden")));
extern _Atomic bool static_any_dead __attribute__((visibility("hidden")));

static inline size_t static_page(uintptr_t address)
{
    return (address >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 51;
}

/* Cheap enough for every call of a lock; nothing before the first static object died. */
static inline bool static_object_may_hold(const void *address)
{
    if (__builtin_expect(!atomic_load_explicit(&static_any_dead, memory_order_relaxed), 1))
        return false;
    size_t page = static_page((uintptr_t)address);
    return (atomic_load(&static_pages[page / 64]) >> page % 64 & 1) != 0;
}

void static_object_prepare_fork(void);
void static_object_forked(bool child);

#endif
