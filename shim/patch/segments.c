/* Segments: see segments.h. */
#include "patch/segments.h"

#include "base/memory.h"

#include <link.h>

#define SEGMENTS_MOST 16384 /* address space only, until it is used */

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct segments *segments = context;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum && segments->count < segments->room; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || header->p_memsz == 0)
            continue;
        struct segment segment = {.start = info->dlpi_addr + header->p_vaddr,
                                  .flags = header->p_flags,
                                  .module = segments->modules};
        segment.end = segment.start + header->p_memsz;
        size_t at = segments->count++;
        for (; at > 0 && segments->all[at - 1].start > segment.start; at--)
            segments->all[at] = segments->all[at - 1];
        segments->all[at] = segment;
    }
    segments->modules++;
    return 0;
}

bool segments_read(struct segments *segments)
{
    *segments = (struct segments){.room = SEGMENTS_MOST};
    segments->all = memory_map(SEGMENTS_MOST * sizeof *segments->all);
    if (segments->all == NULL)
        return false;
    (void)dl_iterate_phdr(add_module, segments);
    return true;
}

void segments_free(struct segments *segments)
{
    memory_unmap(segments->all, SEGMENTS_MOST * sizeof *segments->all);
    segments->all = NULL;
}

const struct segment *segments_find(const struct segments *segments, uintptr_t address)
{
    size_t low = 0, high = segments->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segments->all[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < segments->count && segments->all[low].start <= address ? &segments->all[low]
                                                                        : NULL;
}

void segments_extent(const struct segments *segments, uint32_t module, uintptr_t *start,
                     uintptr_t *end)
{
    *start = UINTPTR_MAX;
    *end = 0;
    for (size_t i = 0; i < segments->count; i++)
        if (segments->all[i].module == module) {
            *start = segments->all[i].start < *start ? segments->all[i].start : *start;
            *end = segments->all[i].end > *end ? segments->all[i].end : *end;
        }
}
