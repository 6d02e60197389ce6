/* Site cache: from (return address, place on the stack) to the allocation site, without unwinding.
 * An entry is believed only after every return address it stands for was found again in its slot
 * on the stack. One for all threads: a place is told by its distance from the thread's own
 * storage, which glibc puts at the same place of every stack, and so fifty threads that do the
 * same keep one copy of what they look up in the processor's caches. No locks. */
#ifndef OUTLIVE_REGISTRY_SITE_CACHE_H
#define OUTLIVE_REGISTRY_SITE_CACHE_H

#include <stdint.h>

#define SITE_FRAMES 4 /* a site is this many frames; wrappers such as CRYPTO_zalloc need three */
#define SITE_CACHE_BITS 13

struct site_cache_entry {
    /* Odd while a thread writes the entry; another number afterwards. A writer that never comes
     * back (longjmp, fork) leaves it odd, and the entry useless. */
    uint32_t sequence;
    uint32_t site;     /* 0: the entry is free */
    uintptr_t place;   /* of the slot that holds frames[0]: see site_place() */
    uintptr_t address; /* frames[0] */
    uintptr_t frames[SITE_FRAMES - 1];
    /* Slot of frames[i] - slot. Where the stack ended: 0, and the frame is `address`, so that the
     * look needs no branch. */
    uint32_t offsets[SITE_FRAMES - 1];
    uint32_t missed; /* the call path that was last looked for here in vain */
} __attribute__((aligned(64)));

extern struct site_cache_entry site_cache[1 << SITE_CACHE_BITS]
    __attribute__((visibility("hidden")));

#endif
