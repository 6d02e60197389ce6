/* Memory: see memory.h. */
#include "base/memory.h"

#include "base/system.h"

#include <sys/mman.h>

static void *map(size_t size, int protection)
{
    long result = system_call6(SYS_mmap, 0, (long)size, protection,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static void *map_shrinking(size_t *size, size_t minimum, int protection)
{
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

bool memory_discard(void *start, size_t size)
{
    return system_call3(SYS_madvise, (long)start, (long)size, MADV_DONTNEED) == 0;
}
