/* Body: looks through the whole of a function for ways into the bytes that a jump at its entry
 * replaces. Called by patch.c. Pure functions, async-signal-safe. */
#ifndef OUTLIVE_PATCH_BODY_H
#define OUTLIVE_PATCH_BODY_H

#include "patch/relocate.h"

struct body_world {
    /* The memory of [address, address + size) if it is the module's and can be read, else NULL: for
     * jump tables. NULL: tables are not looked at. */
    const void *(*read)(void *context, uint64_t address, size_t size);
    /* A branch to somewhere outside. May be NULL. */
    void (*leaves)(void *context, uint64_t target);
    void *context;
};

enum patch_refusal body_check(const struct code *code, const struct displaced *displaced,
                              const struct body_world *world);

#endif
