/* Site cache: from (return address, stack pointer) to the allocation site, without unwinding. An
 * entry is believed only after every return address it stands for was found again in its slot on
 * the stack. One cache a thread, no locks. */
#ifndef OUTLIVE_REGISTRY_SITE_CACHE_H
#define OUTLIVE_REGISTRY_SITE_CACHE_H

#include <stdint.h>

#define SITE_FRAMES 4 /* a site is this many frames; wrappers such as CRYPTO_zalloc need three */
#define SITE_CACHE_ENTRIES 2048

struct site_cache_entry {
    uintptr_t slot;    /* address of the slot that holds frames[0] */
    uintptr_t address; /* frames[0] */
    uintptr_t frames[SITE_FRAMES - 1];
    /* Slot of frames[i] - slot. Where the stack ended: 0, and the frame is `address`, so that the
     * look needs no branch. */
    uint32_t offsets[SITE_FRAMES - 1];
    uint32_t site;   /* 0: the entry is free */
    uint32_t missed; /* the call path that was last looked for here in vain */
} __attribute__((aligned(64)));

struct site_cache {
    struct site_cache_entry entries[SITE_CACHE_ENTRIES];
};

#endif
