/* Destroyed lock: which mutexes, condition variables and the like pthread_*_destroy has ended, and
 * by whom. glibc leaves most of them as they were, so a mark is put into the first words, which any
 * initialisation overwrites, be it a call, an initialiser, zeroes or a copy: a mark that still
 * stands in its own place is a lock that nothing has made anew. The lower half of the word stays,
 * and the mark can be taken back, so that a program that goes on finds its lock as it left it. A
 * hook sees the mark by one look that it needs for freed memory anyway. The records are a ring, the
 * oldest reused. No locks of ours; destroyed_lock_mark() between guard_enter() and guard_leave().
 */
#ifndef OUTLIVE_REGISTRY_DESTROYED_LOCK_H
#define OUTLIVE_REGISTRY_DESTROYED_LOCK_H

#include "registry/thread.h"

/* `mutex`, `condition variable`, ... */
const char *lock_sort_name(enum lock_sort sort);
size_t lock_sort_size(enum lock_sort sort); /* bytes, as in the program */

/* The top byte, next to poison's of freed blocks: one comparison finds both. */
#define DESTROYED_LOCK_MARK 0x9c
#define DESTROYED_SPIN_MARK 0x4e /* of 32 bits; positive, as that of a spinlock that is free */
#define DESTROYED_LOCKS 4096

struct destroyed_lock {
    uintptr_t address;
    enum lock_sort sort;
    const char *function; /* the call that ended it, a static text */
    uint64_t before;      /* the first words */
    uint64_t ticks;
    uint32_t stack; /* kept */
    thread_reference thread;
};

/* Before the call that ends it. False: it is shared with other processes, or may be: leave it. */
bool destroyed_lock_may_mark(const void *address, enum lock_sort sort);
/* After it, which succeeded: nobody may use it but to make it anew. */
void destroyed_lock_mark(const struct destroyed_lock *lock);
/* True: it is marked, and not made anew since; *lock is by whom. */
bool destroyed_lock_find(const void *address, bool is_spin, struct destroyed_lock *lock);
/* Takes the mark back, if there is one. */
void destroyed_lock_restore(const void *address, bool is_spin);

#endif
