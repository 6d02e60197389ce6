/* Site: where the program allocates from, with the budget that decides which of a site's objects
 * get a place of their own. Objects that die at shutdown are few and old: their sites are cold, so
 * the first objects of each site cover them. Lock-free; sites are never removed. */
#ifndef OUTLIVE_REGISTRY_SITE_H
#define OUTLIVE_REGISTRY_SITE_H

#include "base/clock.h"
#include "registry/site_cache.h"
#include "registry/stack.h"
#include "registry/thread.h"

struct site {
    _Atomic uint64_t key; /* 0: free */
    uintptr_t frames[SITE_FRAMES];
    _Atomic uint32_t guarded;    /* objects that got a place of their own */
    uint32_t number;             /* its own, 0 never given out */
    _Atomic uint64_t next_guard; /* coarse milliseconds; 0 while the first ones last */
};

bool site_start(uint64_t first_objects, uint64_t refill_milliseconds);

/* The site of a hook's caller; 0 when the table is full. */
uint32_t site_find(struct thread_block *block, struct caller caller);
struct site *site_of_number(uint32_t number);
bool site_frames(uint32_t number, struct stack *stack);

/* True when this object is one of those to guard; takes it from the site's budget. */
bool site_take_slow(struct site *site);
static inline bool site_take(struct site *site)
{
    if (__builtin_expect(atomic_load_explicit(&site->next_guard, memory_order_relaxed) >
                             clock_coarse_milliseconds(),
                         1))
        return false;
    return site_take_slow(site);
}

#endif
