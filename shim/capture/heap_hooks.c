/* Heap hooks: the malloc family. Each asks the event layer for a guarded place first, and else
 * calls the program's allocator. */
#include "capture/real.h"

#include "event/event.h"
#include "heap/arena.h"

#include <errno.h>

#define NATURAL 16 /* alignment of malloc: System V ABI AMD64, max_align_t */

static inline void release(void *address, enum origin end, struct caller caller)
{
    if (__builtin_expect(address == NULL || real_is_early(address), 0) ||
        event_free(address, end, caller))
        return;
    real_need();
    real.free(address);
}

EXPORT void *malloc(size_t size)
{
    void *place = event_allocate(size, NATURAL, ORIGIN_MALLOC, CALLER_OF_RELAY());
    if (__builtin_expect(place != NULL, 0))
        return place;
    return __builtin_expect(real.malloc != NULL, 1) ? real.malloc(size) : real_allocate(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t total;
    if (!__builtin_mul_overflow(count, size, &total)) {
        void *place = event_allocate(total, NATURAL, ORIGIN_CALLOC, CALLER_OF_RELAY());
        if (place != NULL)
            return place;
    }
    real_need();
    /* The early buffer is zero and never reused. */
    return real.calloc == NULL ? real_allocate(count * size) : real.calloc(count, size);
}

EXPORT void free(void *address)
{
    release(address, ORIGIN_FREE, CALLER_OF_RELAY());
}

EXPORT void cfree(void *address)
{
    release(address, ORIGIN_FREE, CALLER_OF_RELAY());
}

static void *move(void *address, size_t held, size_t size, struct caller caller)
{
    void *fresh = event_allocate(size, NATURAL, ORIGIN_REALLOC, caller);
    if (fresh == NULL)
        fresh = real_allocate(size);
    if (fresh == NULL)
        return NULL;
    __builtin_memcpy(fresh, address, held < size ? held : size);
    release(address, ORIGIN_REALLOC, caller);
    return fresh;
}

/* Large blocks are left to the allocator: it moves them without copying (mremap). */
#define COPIED_MOST ((size_t)64 * 1024)

static void *resize(void *address, size_t size, struct caller caller)
{
    real_need();
    if (address == NULL) {
        void *place = event_allocate(size, NATURAL, ORIGIN_REALLOC, caller);
        return place != NULL ? place : real_allocate(size);
    }
    if (arena_contains(address)) {
        struct object *object = arena_object(address);
        if (object == NULL || object->address != (uintptr_t)address ||
            atomic_load(&object->state) != OBJECT_LIVE) {
            release(address, ORIGIN_FREE, caller); /* tells what is wrong with it */
            return real_allocate(size);
        }
        if (size == 0) {
            release(address, ORIGIN_FREE, caller);
            return NULL; /* as glibc does (malloc(3)) */
        }
        size_t held = object->size;
        return event_resize(object, size) ? address : move(address, held, size, caller);
    }
    if (real_is_early(address))
        return move(address, size, size, caller);
    if (event_heap_watched && size != 0 && guard.inside == 0) {
        size_t held = real.malloc_usable_size(address);
        if (held != 0 && size > held && held <= COPIED_MOST && !event_in_burst())
            return move(address, held, size, caller);
    }
    return real.realloc(address, size);
}

EXPORT void *realloc(void *address, size_t size)
{
    return resize(address, size, CALLER_OF_RELAY());
}

EXPORT void *reallocarray(void *address, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(address, total, CALLER_OF_RELAY());
}

static bool usual_alignment(size_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (usual_alignment(alignment) && alignment % sizeof(void *) == 0) {
        void *place = event_allocate(size, alignment, ORIGIN_ALIGNED, CALLER_OF_RELAY());
        if (place != NULL) {
            *result = place;
            return 0;
        }
    }
    real_need();
    return real.posix_memalign(result, alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    void *place = usual_alignment(alignment)
                      ? event_allocate(size, alignment, ORIGIN_ALIGNED, CALLER_OF_RELAY())
                      : NULL;
    real_need();
    return place != NULL ? place : real.aligned_alloc(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    void *place = usual_alignment(alignment)
                      ? event_allocate(size, alignment, ORIGIN_ALIGNED, CALLER_OF_RELAY())
                      : NULL;
    real_need();
    return place != NULL ? place : real.memalign(alignment, size);
}

/* Whole pages, seldom and large: left to the allocator. */
EXPORT void *valloc(size_t size)
{
    real_need();
    return real.valloc(size);
}

EXPORT void *pvalloc(size_t size)
{
    real_need();
    return real.pvalloc(size);
}

EXPORT size_t malloc_usable_size(void *address)
{
    if (arena_contains(address)) {
        const struct object *object = arena_object(address);
        return object == NULL ? 0 : object->size;
    }
    if (__builtin_expect(address == NULL || real_is_early(address), 0))
        return 0;
    real_need();
    return real.malloc_usable_size(address);
}
