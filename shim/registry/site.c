/* Site: see site.h. */
#include "registry/site.h"

#include "base/memory.h"

#define SITES ((size_t)1 << 16)
#define PROBES 32

struct site *sites;
static uint32_t first_objects;
static uint64_t refill;
static _Atomic uint64_t guarded_ever;

bool site_start(uint64_t first, uint64_t refill_milliseconds)
{
    sites = memory_map(SITES * sizeof *sites);
    first_objects = (uint32_t)first;
    refill = refill_milliseconds;
    if (sites == NULL)
        return false;
    atomic_store(&sites[0].next_guard, UINT64_MAX);
    return true;
}

struct site *site_of_number(uint32_t number)
{
    return sites == NULL || number == 0 || number >= SITES ? NULL : &sites[number];
}

bool site_frames(uint32_t number, struct stack *stack)
{
    struct site *site = site_of_number(number);
    if (site == NULL)
        return false;
    stack->count = 0;
    stack->first_is_exact = false;
    while (stack->count < SITE_FRAMES && site->frames[stack->count] != 0) {
        stack->frames[stack->count] = site->frames[stack->count];
        stack->count++;
    }
    return stack->count > 0;
}

static uint64_t hash_frames(const uintptr_t *frames, size_t count)
{
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < count; i++) {
        hash ^= frames[i];
        hash *= UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash == 0 ? 1 : hash;
}

static uint32_t intern(const uintptr_t *frames, size_t count)
{
    uint64_t key = hash_frames(frames, count);
    for (size_t probe = 0; probe < PROBES; probe++) {
        uint32_t number = (uint32_t)((key + probe) & (SITES - 1));
        if (number == 0)
            continue;
        struct site *site = &sites[number];
        uint64_t seen = atomic_load_explicit(&site->key, memory_order_acquire);
        if (seen == key)
            return number;
        if (seen != 0)
            continue;
        uint64_t empty = 0;
        if (atomic_compare_exchange_strong(&site->key, &empty, key)) {
            for (size_t i = 0; i < count; i++)
                site->frames[i] = frames[i];
            site->number = number;
            return number;
        }
        if (empty == key)
            return number;
    }
    return 0;
}

enum { DEEPEST = SITE_FRAMES + 4 }; /* with frames of operator new and its kind */

/* The site of these frames; *last is the outermost that tells it apart. */
static uint32_t site_of_frames(const uintptr_t *frames, size_t count, size_t *last)
{
    uintptr_t kept[SITE_FRAMES] = {0};
    size_t used = 0;
    *last = 0;
    for (size_t i = 0; i < count && used < SITE_FRAMES; i++) {
        if (stack_is_allocator(frames[i]) && i + 1 < count)
            continue;
        kept[used++] = frames[i];
        *last = i;
    }
    return intern(kept, used);
}

static uint32_t find_once(struct caller caller)
{
    uintptr_t frames[DEEPEST];
    size_t count = stack_frames(caller, frames, DEEPEST), last;
    return site_of_frames(frames, count, &last);
}

/* Walks slot by slot, and fills the entry so that the next call needs no walk. */
static uint32_t find_and_cache(struct site_cache_entry *entry, struct caller caller)
{
    uintptr_t frames[DEEPEST], slots[DEEPEST];
    bool whole;
    size_t count = stack_walk(caller, frames, slots, DEEPEST, SITE_FRAMES, &whole), last;
    uint32_t site = site_of_frames(frames, count, &last);
    if (last > SITE_FRAMES - 1)
        return site; /* too many wrappers for the entry to verify */
    entry->slot = 0; /* a signal handler's hook must not see half an entry */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    for (size_t i = 1; i < SITE_FRAMES; i++) {
        bool present = i <= last;
        if (present && (slots[i] <= slots[0] || slots[i] - slots[0] > UINT32_MAX))
            return site;
        entry->frames[i - 1] = present ? frames[i] : caller.address;
        entry->offsets[i - 1] = present ? (uint32_t)(slots[i] - slots[0]) : 0;
    }
    entry->address = caller.address;
    entry->site = site;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    entry->slot = caller.slot;
    return site;
}

struct site *site_find(struct thread_block *block, struct caller caller)
{
    if (block == NULL)
        return &sites[find_once(caller)];
    struct site_cache_entry *entry = site_cache_entry(block, caller);
    struct site *site = site_cached(entry, caller);
    if (site != NULL)
        return site;
    uint64_t path = (caller.address ^ caller.slot) * UINT64_C(0xff51afd7ed558ccd);
    if (entry->slot == caller.slot && entry->address == caller.address) {
        /* Call paths that differ further out share (address, slot) and so an entry. What stands in
         * the slots of the first that came tells them apart: the others get entries by that. */
        for (size_t i = 0; i < SITE_FRAMES - 1; i++)
            path = (path ^ *(const uintptr_t *)(caller.slot + entry->offsets[i])) *
                   UINT64_C(0xff51afd7ed558ccd);
        entry = &block->cache.entries[path >> 32 & (SITE_CACHE_ENTRIES - 1)];
        site = site_cached(entry, caller);
        if (site != NULL)
            return site;
    }
    /* The walk that fills an entry is dear: only for what comes again before another does. */
    uint32_t missed = (uint32_t)path | 1;
    if (entry->missed == missed)
        return &sites[find_and_cache(entry, caller)];
    entry->missed = missed;
    return &sites[find_once(caller)];
}

bool site_take_slow(struct site *site)
{
    uint64_t now = clock_coarse_milliseconds();
    uint32_t taken = atomic_load_explicit(&site->guarded, memory_order_relaxed);
    if (first_objects == 0) {
        atomic_store(&site->next_guard, UINT64_MAX);
        return false;
    }
    while (taken < first_objects)
        if (atomic_compare_exchange_weak(&site->guarded, &taken, taken + 1)) {
            atomic_fetch_add(&guarded_ever, 1);
            if (taken + 1 == first_objects)
                atomic_store(&site->next_guard, now + refill);
            return true;
        }
    uint64_t due = atomic_load(&site->next_guard);
    if (due > now || !atomic_compare_exchange_strong(&site->next_guard, &due, now + refill))
        return false;
    atomic_fetch_add(&site->guarded, 1);
    atomic_fetch_add(&guarded_ever, 1);
    return true;
}

uint64_t site_guarded(void)
{
    return atomic_load(&guarded_ever);
}
