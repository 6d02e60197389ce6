/* Quarantine: freed blocks of the program's own allocator, poisoned and kept from reuse for a
 * while: some for each thread, everything once the shutdown phase has begun, within bounds. A block
 * that leaves is checked: a poison word that changed is a late write. Hot paths take no lock; call
 * them between guard_enter() and guard_leave(). */
#ifndef OUTLIVE_HEAP_QUARANTINE_H
#define OUTLIVE_HEAP_QUARANTINE_H

#include "base/options.h"
#include "heap/poison.h"
#include "registry/object.h"
#include "registry/thread.h"

struct block {
    uintptr_t address; /* 0: the record is free */
    uint64_t end_ticks;
    uint32_t size;  /* usable bytes, at most 4 GiB - 1 */
    uint32_t words; /* poisoned */
    uint32_t site;  /* of the freeing call */
    uint32_t stack; /* full stack of it, or 0 */
    thread_reference end_thread;
    uint16_t generation;
    uint16_t end; /* enum origin */
};

/* What the quarantine needs from above. late_write is called with the block still in place. */
struct quarantine_calls {
    void (*release)(void *); /* the real free */
    void (*late_write)(const struct block *block, uint32_t word, uint64_t found);
};

bool quarantine_start(const struct options *options, const struct quarantine_calls *calls);

/* Takes a block over; false: too large or switched off, the caller frees it. */
bool quarantine_put(struct thread_block *owner, void *address, size_t usable, uint32_t site,
                    uint32_t stack, enum origin end);

/* From here on nothing leaves until shutdown_memory is full. */
void quarantine_begin_shutdown(void);
/* All blocks of an ending thread leave, unless the shutdown phase has begun. */
void quarantine_flush(struct thread_block *owner);
/* Looks for late writes in everything that is still here: at exit. */
void quarantine_check(void);

/* The block that a poison word names, if the word is true and the block is still here.
 * Async-signal-safe. */
const struct block *quarantine_find(uint64_t word);
/* The block in quarantine that holds the address, found by its first bytes: reads *address, which
 * must be readable and 8-aligned. */
const struct block *quarantine_at(const void *address);

/* Blocks poisoned, blocks that left early because shutdown_memory was full. */
void quarantine_totals(uint64_t *poisoned, uint64_t *left_early);

void quarantine_forked(bool child);
void quarantine_prepare_fork(void);

#endif
