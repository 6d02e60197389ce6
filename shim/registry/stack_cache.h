/* Stack cache: from (return address, stack pointer) to a kept stack, without unwinding. As with the
 * site cache an entry is believed only after every return address was found again in its slot. It
 * serves what happens many times from few places: the frees of the shutdown phase, threads made in
 * a loop. One cache a thread, no locks. */
#ifndef OUTLIVE_REGISTRY_STACK_CACHE_H
#define OUTLIVE_REGISTRY_STACK_CACHE_H

#include <stdint.h>

#define STACK_FRAMES 48
#define STACK_CACHE_ENTRIES 64

struct stack_cache_entry {
    uintptr_t slot;    /* address of the slot that holds the first frame */
    uintptr_t address; /* the first frame */
    uint32_t kept;     /* number in the depot; 0: nothing is known yet */
    uint32_t missed;   /* the stack that was last kept without the entry: an exact walk is dear, and
                          only for what comes twice in a row */
    uint32_t offsets[STACK_FRAMES]; /* slot of a frame - slot */
};

struct stack_cache {
    struct stack_cache_entry entries[STACK_CACHE_ENTRIES]; /* pairs: a key may stand in either */
    uint32_t turn;
};

#endif
