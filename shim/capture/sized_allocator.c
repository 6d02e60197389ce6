/* Sized allocator: see sized_allocator.h. Called by allocator.c. */
#include "capture/sized_allocator.h"

#include "capture/real.h"

#include "heap/sizes.h"

#include <errno.h>

static struct {
    __typeof__(&malloc) malloc;
    __typeof__(&calloc) calloc;
    __typeof__(&realloc) realloc;
    __typeof__(&free) free;
    __typeof__(&posix_memalign) posix_memalign;
    __typeof__(&aligned_alloc) aligned_alloc;
    __typeof__(&memalign) memalign;
} behind;

static void *sized(void *block, size_t size)
{
    if (block != NULL)
        sizes_set(block, size);
    return block;
}

static void *sized_malloc(size_t size)
{
    return sized(behind.malloc(size), size);
}

static void *sized_calloc(size_t count, size_t size)
{
    return sized(behind.calloc(count, size), count * size);
}

static void *sized_realloc(void *address, size_t size)
{
    /* Forgotten first: the address may be another thread's as soon as it is given back. */
    size_t before = address == NULL ? 0 : sizes_of(address);
    if (before != 0)
        sizes_forget(address);
    void *block = behind.realloc(address, size);
    if (block == NULL && size != 0 && before != 0)
        sizes_set(address, before);
    return sized(block, size);
}

static void sized_free(void *address)
{
    sizes_forget(address);
    behind.free(address);
}

static int sized_posix_memalign(void **result, size_t alignment, size_t size)
{
    int error = behind.posix_memalign(result, alignment, size);
    if (error == 0)
        (void)sized(*result, size);
    return error;
}

static void *sized_aligned_alloc(size_t alignment, size_t size)
{
    return sized(behind.aligned_alloc(alignment, size), size);
}

static void *sized_memalign(size_t alignment, size_t size)
{
    return sized(behind.memalign(alignment, size), size);
}

static size_t sized_usable(void *address)
{
    return sizes_of(address);
}

static size_t unknown_size(void *address)
{
    (void)address;
    return 0;
}

bool sized_allocator_start(void)
{
    real.malloc_usable_size = unknown_size;
    if (!sizes_start())
        return false;
    real.malloc_usable_size = sized_usable;
#define STAND_BETWEEN(name)                                                                        \
    behind.name = real.name;                                                                       \
    real.name = sized_##name
    STAND_BETWEEN(malloc);
    STAND_BETWEEN(calloc);
    STAND_BETWEEN(realloc);
    STAND_BETWEEN(free);
    STAND_BETWEEN(posix_memalign);
    STAND_BETWEEN(aligned_alloc);
    STAND_BETWEEN(memalign);
#undef STAND_BETWEEN
    return true;
}
