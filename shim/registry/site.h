/* Site: where the program allocates from, with the budget that decides which of a site's objects
 * get a place of their own. Objects that die at shutdown are few and old: their sites are cold, so
 * the first objects of each site cover them. Lock-free; sites are never removed. */
#ifndef OUTLIVE_REGISTRY_SITE_H
#define OUTLIVE_REGISTRY_SITE_H

#include "base/clock.h"
#include "registry/guard.h"
#include "registry/site_cache.h"
#include "registry/stack.h"

struct site {
    _Atomic uint64_t key; /* 0: free */
    uintptr_t frames[SITE_FRAMES];
    _Atomic uint32_t spent; /* of its budget: one for each object that got a place of its own */
    uint32_t number;        /* its own, 0 never given out */
    _Atomic uint64_t next_guard; /* coarse milliseconds; 0 while the first ones last */
    /* Where the return addresses of the outer frames stood when the site was last walked: bytes / 8
     * from the innermost one's slot, 16 bits each; 0: not known. Another thread's stack looks
     * alike, unless a frame has no fixed size. */
    _Atomic uint64_t offsets;
} __attribute__((aligned(64)));

bool site_start(uint64_t first_objects, uint64_t refill_milliseconds);

/* Number 0 is the site of all calls that the table has no room for: it guards nothing. */
extern struct site *sites __attribute__((visibility("hidden")));

/* Where on the stack the caller is, in a measure that all threads share. */
static inline uintptr_t site_place(struct caller caller)
{
    return caller.slot - (uintptr_t)&guard;
}

static inline struct site_cache_entry *site_cache_entry(struct caller caller)
{
    uintptr_t mixed = (caller.address ^ site_place(caller)) * UINT64_C(0x9e3779b97f4a7c15);
    struct site_cache_entry *entry = &site_cache[mixed >> (64 - SITE_CACHE_BITS)];
    __asm__("" : "+r"(entry)); /* else each field's address is worked out anew */
    return entry;
}

#define SITE_LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

/* True: nobody has written the entry since its sequence was read. The fence costs x86 nothing. */
static inline bool site_cache_unchanged(const struct site_cache_entry *entry, uint32_t sequence)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return SITE_LOAD(entry->sequence) == sequence;
}

/* The entry's site, if the hook's caller is where it says, or NULL. Reads only. */
static inline __attribute__((always_inline)) struct site *
site_cached(const struct site_cache_entry *entry, struct caller caller)
{
    _Static_assert(SITE_FRAMES == 4, "three frames are compared");
    uint32_t sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
    if (__builtin_expect(SITE_LOAD(entry->place) != site_place(caller) ||
                             SITE_LOAD(entry->address) != caller.address || (sequence & 1) != 0,
                         0))
        return NULL;
    const char *slot = (const char *)caller.slot;
    uint32_t first = SITE_LOAD(entry->offsets[0]), second = SITE_LOAD(entry->offsets[1]),
             third = SITE_LOAD(entry->offsets[2]), site = SITE_LOAD(entry->site);
    /* Before they are followed: offsets of another place may lead out of the stack. Frames written
     * after this are held against the stack like any others. */
    if (__builtin_expect(!site_cache_unchanged(entry, sequence), 0))
        return NULL;
    uintptr_t differs = *(const uintptr_t *)(slot + first) ^ SITE_LOAD(entry->frames[0]);
    differs |= *(const uintptr_t *)(slot + second) ^ SITE_LOAD(entry->frames[1]);
    differs |= *(const uintptr_t *)(slot + third) ^ SITE_LOAD(entry->frames[2]);
    return __builtin_expect(differs == 0, 1) ? &sites[site] : NULL;
}

/* The site of a hook's caller; number 0 when the table is full. */
struct site *site_find(struct caller caller);
struct site *site_of_number(uint32_t number);
bool site_frames(uint32_t number, struct stack *stack);

/* True: no object of the site is to be guarded now. */
static inline bool site_is_spent(const struct site *site)
{
    return atomic_load_explicit(&site->next_guard, memory_order_relaxed) >
           clock_coarse_milliseconds();
}
/* True when this object is one of those to guard; takes it from the site's budget, of which so many
 * halvings are left (but one object): where room is short, for new sites. */
bool site_take(struct site *site, unsigned halvings);

/* One of its guarded objects was destroyed after ticks of life. What dies young costs as many
 * system calls as anything, and will hardly be alive at shutdown: it counts fourfold. */
void site_ended(uint32_t number, uint64_t ticks);

/* Objects guarded ever, of all sites. */
uint64_t site_guarded(void);

#endif
