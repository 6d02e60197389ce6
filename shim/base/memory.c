/* Memory: see memory.h. */
#include "base/memory.h"

#include "base/system.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void *map(size_t size, int protection)
{
    long result = system_call6(SYS_mmap, 0, (long)size, protection,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

/* Under `ulimit -v` addresses are the program's, too: a sixteenth for one table, and a quarter at
 * the most for one that cannot be smaller. */
static size_t address_share(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)system_call4(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit);
    return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur / 16;
}

static void *map_shrinking(size_t *size, size_t minimum, int protection)
{
    size_t share = address_share();
    if (minimum / 4 > share)
        return NULL;
    while (*size > share && *size / 2 >= minimum)
        *size = ROUND_UP(*size / 2, PAGE_SIZE);
    for (;;) {
        void *start = map(*size, protection);
        if (start != NULL)
            return start;
        if (*size / 2 < minimum)
            return NULL;
        *size = ROUND_UP(*size / 2, PAGE_SIZE);
    }
}

void *memory_map(size_t size)
{
    return map(ROUND_UP(size, PAGE_SIZE), PROT_READ | PROT_WRITE);
}

void *memory_map_sparse(size_t *size, size_t minimum)
{
    return map_shrinking(size, minimum, PROT_READ | PROT_WRITE);
}

void *memory_reserve(size_t *size, size_t minimum)
{
    return map_shrinking(size, minimum, PROT_NONE);
}

void memory_unmap(void *start, size_t size)
{
    (void)system_call3(SYS_munmap, (long)start, (long)size, 0);
}

bool memory_protect(void *start, size_t size, int protection)
{
    return system_call3(SYS_mprotect, (long)start, (long)size, protection) == 0;
}

bool memory_is_mapped(uintptr_t address)
{
    unsigned char resident;
    return system_call3(SYS_mincore, (long)(address & ~(PAGE_SIZE - 1)), (long)PAGE_SIZE,
                        (long)&resident) == 0;
}

bool memory_discard(void *start, size_t size)
{
    return system_call3(SYS_madvise, (long)start, (long)size, MADV_DONTNEED) == 0;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* linux/mman.h */
#endif

void memory_populate(void *start, size_t size)
{
    uintptr_t first = ROUND_UP((uintptr_t)start, PAGE_SIZE);
    (void)system_call3(SYS_madvise, (long)first,
                       (long)(((uintptr_t)start + size - first) / PAGE_SIZE * PAGE_SIZE),
                       MADV_POPULATE_WRITE);
}
