/* Quarantine: freed blocks of the program's own allocator, poisoned and kept from reuse for a
 * while: some for each thread, everything once the shutdown phase has begun, within bounds. A block
 * that leaves is checked: a poison word that changed is a late write. Hot paths take no lock; call
 * them between guard_enter() and guard_leave(). */
#ifndef OUTLIVE_HEAP_QUARANTINE_H
#define OUTLIVE_HEAP_QUARANTINE_H

#include "base/clock.h"
#include "base/options.h"
#include "heap/poison.h"
#include "registry/object.h"
#include "registry/thread.h"

struct block {
    uintptr_t address; /* 0: the record is free */
    uint64_t end_ticks;
    uint32_t size;  /* usable bytes, at most 4 GiB - 1 */
    uint32_t where; /* the freeing call: a site, in the shutdown phase a full stack */
    thread_reference end_thread;
    uint16_t check; /* of its poison; kept when the record is free, for the next */
    uint8_t end;    /* enum origin */
    bool in_shutdown : 1;
    bool deep : 1; /* shutdown_words of it are poisoned */
};
_Static_assert(sizeof(struct block) == 32, "two million of them die in a shutdown");

/* What the quarantine needs from above. late_write is called with the block still in place. */
struct quarantine_calls {
    void (*release)(void *); /* the real free */
    void (*late_write)(const struct block *block, uint32_t word, uint64_t found);
};

bool quarantine_start(const struct options *options, const struct quarantine_calls *calls);

/* Takes a block over; false: too large or switched off, the caller frees it. `where` is a site
 * before quarantine_begin_shutdown(), a kept stack after it. */
static inline bool quarantine_put(struct thread_block *owner, void *address, size_t usable,
                                  uint32_t where, enum origin end);

/* From here on nothing leaves until shutdown_memory is full. */
void quarantine_begin_shutdown(void);
/* So many died in the shutdown phase that time is short: the calling thread's next one is not among
 * those that get deep poison. */
bool quarantine_in_bulk(const struct thread_block *owner);
/* All blocks of an ending thread leave, unless the shutdown phase has begun. */
void quarantine_flush(struct thread_block *owner);
/* Looks for late writes in what is still here, in a part of it where very many died: at exit. */
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

/* What follows serves quarantine_put(), which every free pays for. */

#define QUARANTINE_RING 4096 /* records of one thread's ring; the option's maximum */
#define QUARANTINE_NO_RING UINT32_MAX

extern struct quarantine {
    struct block *records; /* NULL: off */
    uint32_t ring_blocks;  /* or QUARANTINE_NO_RING, which no count reaches */
    uint32_t poison_words, shutdown_words;
    uint32_t rate, burst; /* frees that all enter: added in each period; saved up at the most */
    size_t ring_bytes;
    _Atomic bool shutting_down;
    struct quarantine_calls calls;
} quarantine __attribute__((visibility("hidden")));

static inline bool quarantine_is_shutdown(void)
{
    return atomic_load_explicit(&quarantine.shutting_down, memory_order_relaxed);
}

bool quarantine_put_slow(struct thread_block *owner, void *address, size_t usable, uint32_t where,
                         enum origin end);
/* Words of a block that are poisoned. */
static inline size_t quarantine_words(const struct block *block)
{
    size_t most = block->deep ? quarantine.shutdown_words : quarantine.poison_words;
    return block->size / 8 < most ? block->size / 8 : most;
}
static inline uint64_t quarantine_first(const struct block *record)
{
    return poison_first(POISON_FREED, (uint32_t)(record - quarantine.records), record->check);
}
/* The block's record may be empty already. */
void quarantine_tell_change(const struct block *record, uintptr_t address);

/* A block that leaves again after microseconds cannot be touched late: of a burst one in
 * QUARANTINE_EACH enters, and stays so many times as long. */
#define QUARANTINE_PERIOD (INT64_C(1) << 21) /* ticks: about a millisecond */
#define QUARANTINE_EACH 16
#define QUARANTINE_BURST 1024
#define QUARANTINE_WAITS 2 /* in a period; a server waits some hundred times a millisecond */

/* True: this free passes the quarantine by. */
static inline bool quarantine_skips(struct thread_block *owner)
{
    /* Two moves: a signal handler's free or another thread's zero between them is lost at worst. */
    uint32_t skip = __atomic_load_n(&owner->quarantine_skip, __ATOMIC_RELAXED);
    if (__builtin_expect(skip == 0, 0))
        return false;
    __atomic_store_n(&owner->quarantine_skip, skip - 1, __ATOMIC_RELAXED);
    return true;
}

/* The time of a free that enters; counts it. */
static inline uint64_t quarantine_now(struct thread_block *owner)
{
    uint64_t now = clock_ticks();
    /* Signed: another processor's counter may be a little behind. */
    if ((int64_t)(now - owner->quarantine_ticks) > QUARANTINE_PERIOD) {
        uint64_t periods = (now - owner->quarantine_ticks) / QUARANTINE_PERIOD;
        uint64_t left = owner->quarantine_left +
                        (periods < QUARANTINE_BURST ? periods : QUARANTINE_BURST) * quarantine.rate;
        owner->quarantine_ticks = now;
        owner->quarantine_left = (uint32_t)(left < quarantine.burst ? left : quarantine.burst);
    }
    if (owner->quarantine_left > 0)
        owner->quarantine_left--;
    else
        owner->quarantine_skip = QUARANTINE_EACH - 1;
    return now;
}

/* The calling thread did something that may take time: its next free enters. */
static inline void quarantine_end_burst(void)
{
    struct thread_block *block = guard.block;
    if (block == NULL || block->quarantine_skip == 0)
        return;
    uint64_t now = clock_ticks();
    if ((int64_t)(now - block->waited_ticks) > QUARANTINE_PERIOD) {
        block->waited_ticks = now;
        block->quarantine_waits = QUARANTINE_WAITS;
    }
    if (block->quarantine_waits == 0)
        return;
    block->quarantine_waits--;
    block->quarantine_skip = 0;
}

static inline void quarantine_fill(struct block *record, size_t usable, uint32_t where,
                                   uint64_t ticks, thread_reference by, enum origin end)
{
    record->size = (uint32_t)(usable > UINT32_MAX ? UINT32_MAX : usable);
    record->where = where;
    record->end_ticks = ticks;
    record->end_thread = by;
    record->end = (uint8_t)end;
}

static inline void quarantine_poison(struct block *record, void *address)
{
    record->check = poison_next_check(record->check);
    poison_words(address, quarantine_words(record), quarantine_first(record));
    /* Last: another thread, or a child of fork, that looks meanwhile finds an empty record. */
    __atomic_store_n(&record->address, (uintptr_t)address, __ATOMIC_RELEASE);
}

/* Poison is taken out: the next owner must not find it in fresh memory. The record was emptied
 * first, so that a look from another thread (quarantine_check) does not take the cleaning for a
 * late write; x86 keeps both in order. */
static inline void quarantine_clean(const struct block *record, void *address)
{
    size_t words = quarantine_words(record);
    if (__builtin_expect(poison_differs(address, words, quarantine_first(record)), 0))
        quarantine_tell_change(record, (uintptr_t)address);
    poison_clear(address, words);
}

/* The usual case: the ring is full, and its oldest block makes room. */
static inline bool quarantine_put(struct thread_block *owner, void *address, size_t usable,
                                  uint32_t where, enum origin end)
{
    if (__builtin_expect(owner == NULL || owner->quarantine_count != quarantine.ring_blocks, 0) ||
        __builtin_expect(quarantine_is_shutdown(), 0))
        return quarantine_put_slow(owner, address, usable, where, end);
    uint32_t head = owner->quarantine_head;
    struct block *record = &quarantine.records[owner->number * QUARANTINE_RING + head];
    size_t bytes = owner->quarantine_bytes - record->size + usable;
    if (__builtin_expect(bytes > quarantine.ring_bytes, 0) ||
        __builtin_expect(usable > quarantine.ring_bytes / 16, 0))
        return quarantine_put_slow(owner, address, usable, where, end);
    void *leaving = (void *)record->address;
    __atomic_store_n(&record->address, 0, __ATOMIC_RELEASE);
    quarantine_clean(record, leaving);
    quarantine_fill(record, usable, where, quarantine_now(owner), owner->reference, end);
    quarantine_poison(record, address);
    head = head + 1 == quarantine.ring_blocks ? 0 : head + 1;
    owner->quarantine_head = head;
    owner->quarantine_bytes = bytes;
    owner->frees++;
    __builtin_prefetch((void *)quarantine.records[owner->number * QUARANTINE_RING + head].address,
                       1);
    quarantine.calls.release(leaving);
    return true;
}

#endif
