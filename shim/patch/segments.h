/* Segments: what the loader has mapped, by address. Called by patch.c; takes the loader's lock for
 * a moment. A snapshot: it is read anew for each batch of patches. */
#ifndef OUTLIVE_PATCH_SEGMENTS_H
#define OUTLIVE_PATCH_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment {
    uintptr_t start, end;
    uint32_t flags;  /* PF_R, PF_W, PF_X */
    uint32_t module; /* the same for all segments of a file */
};

struct segments {
    struct segment *all; /* by address */
    size_t count, room;
    uint32_t modules;
};

/* False: no memory. */
bool segments_read(struct segments *segments);
void segments_free(struct segments *segments);

const struct segment *segments_find(const struct segments *segments, uintptr_t address);
/* From the first to the last byte of the module. */
void segments_extent(const struct segments *segments, uint32_t module, uintptr_t *start,
                     uintptr_t *end);

#endif
