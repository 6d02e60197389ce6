/* Site: see site.h. */
#include "registry/site.h"

#include "base/memory.h"
#include "base/probe.h"

#define SITES ((size_t)1 << 16)
#define PROBES 32
#define SLOWEST_REFILL 4         /* doublings */
#define YOUNG (INT64_C(1) << 24) /* ticks: some milliseconds */
#define YOUNG_COSTS 3            /* more */

struct site *sites;
struct site_cache_entry site_cache[1 << SITE_CACHE_BITS];
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

struct path { /* a call path, raw, from the innermost frame out */
    uintptr_t frames[DEEPEST];
    uint32_t offsets[SITE_FRAMES - 1]; /* as in the entry */
    size_t last;
};

static void store(uintptr_t *field, uintptr_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void fill(struct site_cache_entry *entry, struct caller caller, const struct path *path,
                 uint32_t site)
{
    uint32_t sequence = SITE_LOAD(entry->sequence);
    if ((sequence & 1) != 0 ||
        !__atomic_compare_exchange_n(&entry->sequence, &sequence, sequence + 1, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return; /* another thread writes it, or the code that a signal handler interrupted */
    for (size_t i = 1; i < SITE_FRAMES; i++) {
        store(&entry->frames[i - 1], i <= path->last ? path->frames[i] : caller.address);
        __atomic_store_n(&entry->offsets[i - 1], i <= path->last ? path->offsets[i - 1] : 0,
                         __ATOMIC_RELAXED);
    }
    store(&entry->place, site_place(caller));
    store(&entry->address, caller.address);
    __atomic_store_n(&entry->site, site, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->sequence, sequence + 2, __ATOMIC_RELEASE);
}

/* Whether the path stands on this stack where the site's last one stood on its own. */
static bool stands_alike(const struct site *site, struct caller caller, struct path *path)
{
    uint64_t known = atomic_load_explicit(&site->offsets, memory_order_relaxed);
    if (known == 0 || path->last >= SITE_FRAMES)
        return false;
    for (size_t i = 1; i <= path->last; i++) {
        path->offsets[i - 1] = (uint32_t)(known >> 16 * (i - 1) & 0xffff) * 8;
        uint64_t word; /* with a frame of no fixed size the other stack was larger */
        if (!probe_word((const void *)(caller.slot + path->offsets[i - 1]), &word) ||
            word != path->frames[i])
            return false;
    }
    return true;
}

/* Without slots, unless the site has them: some hundred nanoseconds. */
static __attribute__((noinline)) uint32_t find_once(struct site_cache_entry *entry,
                                                    struct caller caller)
{
    struct path path;
    size_t count = stack_frames(caller, path.frames, DEEPEST);
    uint32_t site = site_of_frames(path.frames, count, &path.last);
    if (stands_alike(&sites[site], caller, &path))
        fill(entry, caller, &path, site);
    return site;
}

/* Walks slot by slot: some microseconds. */
static __attribute__((noinline)) uint32_t find_and_cache(struct site_cache_entry *entry,
                                                         struct caller caller)
{
    struct path path;
    uintptr_t slots[DEEPEST];
    uint64_t known = 0;
    bool whole;
    size_t count = stack_walk(caller, path.frames, slots, DEEPEST, SITE_FRAMES, &whole);
    uint32_t site = site_of_frames(path.frames, count, &path.last);
    if (path.last >= SITE_FRAMES)
        return site; /* too many wrappers for the entry to verify */
    for (size_t i = 1; i <= path.last; i++) {
        if (slots[i] <= slots[0] || (slots[i] - slots[0]) / 8 > UINT16_MAX)
            return site;
        path.offsets[i - 1] = (uint32_t)(slots[i] - slots[0]);
        known |= (uint64_t)(path.offsets[i - 1] / 8) << 16 * (i - 1);
    }
    atomic_store_explicit(&sites[site].offsets, known, memory_order_relaxed);
    fill(entry, caller, &path, site);
    return site;
}

/* Call paths that differ further out share (address, place) and so an entry. What stands in the
 * slots of the first that came tells them apart: the others get entries by that. */
static __attribute__((noinline)) uint64_t path_by_slots(const struct site_cache_entry *entry,
                                                        struct caller caller, uint64_t path)
{
    uint32_t offsets[SITE_FRAMES - 1],
        sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
    bool same = SITE_LOAD(entry->place) == site_place(caller) &&
                SITE_LOAD(entry->address) == caller.address && (sequence & 1) == 0;
    for (size_t i = 0; i < SITE_FRAMES - 1; i++)
        offsets[i] = SITE_LOAD(entry->offsets[i]);
    if (!same || !site_cache_unchanged(entry, sequence))
        return path;
    for (size_t i = 0; i < SITE_FRAMES - 1; i++) {
        uint64_t word = 0; /* the other path's stack may have been larger */
        (void)probe_word((const void *)(caller.slot + offsets[i]), &word);
        path = (path ^ word) * UINT64_C(0xff51afd7ed558ccd);
    }
    return path;
}

struct site *site_find(struct caller caller)
{
    struct site_cache_entry *entry = site_cache_entry(caller);
    struct site *site = site_cached(entry, caller);
    if (site != NULL)
        return site;
    uint64_t own = (caller.address ^ site_place(caller)) * UINT64_C(0xff51afd7ed558ccd);
    uint64_t path = path_by_slots(entry, caller, own);
    if (path != own) {
        entry = &site_cache[path >> 32 & ((1 << SITE_CACHE_BITS) - 1)];
        site = site_cached(entry, caller);
        if (site != NULL)
            return site;
    }
    /* The walk that fills an entry is dear: only for what comes again before another does. */
    uint32_t missed = (uint32_t)path | 1;
    if (SITE_LOAD(entry->missed) == missed)
        return &sites[find_and_cache(entry, caller)];
    __atomic_store_n(&entry->missed, missed, __ATOMIC_RELAXED);
    return &sites[find_once(entry, caller)];
}

bool site_take(struct site *site, unsigned halvings)
{
    uint64_t now = clock_coarse_milliseconds();
    uint32_t taken = atomic_load_explicit(&site->spent, memory_order_relaxed);
    uint32_t first = first_objects >> halvings == 0 ? 1 : first_objects >> halvings;
    if (first_objects == 0) {
        atomic_store(&site->next_guard, UINT64_MAX);
        return false;
    }
    while (taken < first)
        if (atomic_compare_exchange_weak(&site->spent, &taken, taken + 1)) {
            atomic_fetch_add(&guarded_ever, 1);
            if (taken + 1 == first)
                atomic_store(&site->next_guard, now + refill);
            return true;
        }
    /* What goes on allocating is hot: its refill slows down, or a server pays for it for ever. */
    uint32_t refills = taken - first;
    uint64_t pause = refill << (refills < SLOWEST_REFILL ? refills + 1 : SLOWEST_REFILL);
    uint64_t due = atomic_load(&site->next_guard);
    if (due > now || !atomic_compare_exchange_strong(&site->next_guard, &due, now + pause))
        return false;
    atomic_fetch_add(&site->spent, 1);
    atomic_fetch_add(&guarded_ever, 1);
    return true;
}

void site_ended(uint32_t number, uint64_t ticks)
{
    struct site *site = site_of_number(number);
    if (site != NULL && (int64_t)ticks < YOUNG &&
        atomic_load_explicit(&site->spent, memory_order_relaxed) < first_objects)
        atomic_fetch_add(&site->spent, YOUNG_COSTS);
}

uint64_t site_guarded(void)
{
    return atomic_load(&guarded_ever);
}
