/* New hooks: all forms of C++ operator new and delete. A library of the program that replaces them
 * keeps its own: those are called through, and the malloc inside them is what the shim sees. */
#include "capture/new_hooks.h"

#include "capture/real.h"
#include "event/event.h"
#include "heap/arena.h"

#include "heap/sizes.h"

#define NATURAL 16

static enum new_policy policy = NEW_IS_MALLOC;

/* Blocks of operators that have a heap of their own, in the table of sizes. */
#define OF_NEW ((size_t)1 << 60)
#define OF_NEW_ARRAY ((size_t)1 << 61)
static bool sizes_ready;
static _Atomic bool any_own;

static bool is_own(const void *block)
{
    return atomic_load_explicit(&any_own, memory_order_relaxed) &&
           (sizes_of(block) & SIZES_BITS) != 0;
}

static size_t usable_of_new(void *block)
{
    return is_own(block) ? sizes_of(block) & ~SIZES_BITS : real.malloc_usable_size(block);
}

static size_t usable_of_malloc(void *block)
{
    if (is_own(block)) /* no longer: it ended unseen, and malloc has the memory now */
        sizes_forget(block);
    return real.malloc_usable_size(block);
}

static void give_back(void *block)
{
    size_t size = atomic_load_explicit(&any_own, memory_order_relaxed) ? sizes_of(block) : 0;
    if ((size & SIZES_BITS) == 0) {
        real.free(block);
        return;
    }
    sizes_forget(block);
    if ((size & OF_NEW_ARRAY) != 0)
        real._ZdaPv(block);
    else
        real._ZdlPv(block);
}

void new_hooks_start(enum new_policy given, struct allocator *allocator)
{
    policy = given;
    if (policy != NEW_IS_PROGRAMS)
        return;
    sizes_ready = real._ZdlPv != NULL && real._ZdaPv != NULL && sizes_start();
    if (!sizes_ready)
        return;
    allocator->release = give_back;
    allocator->usable = usable_of_malloc;
    allocator->usable_of_new = usable_of_new;
}

/* What the real operator made: noted if it had it from no malloc, by the count of these. */
static inline void *made(void *block, size_t size, uint64_t before)
{
    if (!sizes_ready || block == NULL || guard.block == NULL || guard.inside != 0)
        return block;
    if (guard.block->allocations == before) {
        sizes_set(block, size);
        atomic_store_explicit(&any_own, true, memory_order_relaxed);
    } else if (is_own(block)) {
        sizes_forget(block);
    }
    return block;
}

static inline uint64_t mallocs(void)
{
    return guard.block == NULL ? 0 : guard.block->allocations;
}

static inline void *guarded(size_t size, size_t alignment, enum origin origin, struct caller caller)
{
    return policy != NEW_IS_LIBRARYS ? event_allocate(size, alignment, origin, caller) : NULL;
}

/* Only these blocks are not the real operator's. */
static inline bool is_ours(const void *address)
{
    return policy == NEW_IS_PROGRAMS
               ? arena_contains(address) || poison_looks_like((uint64_t)(uintptr_t)address)
               : guard.inside != 0 && arena_contains(address);
}

/* True: done; false: the real operator delete is to be called. */
static inline bool released(void *address, enum origin end, struct caller caller)
{
    if (__builtin_expect(address == NULL || real_is_early(address), 0))
        return true;
    if (policy != NEW_IS_MALLOC && !is_ours(address)) {
        if (!is_own(address))
            return false;
        if (event_free(address, end, caller))
            return true;
        sizes_forget(address);
        return false;
    }
    if (!event_free(address, end, caller)) {
        real_need();
        real.free(address);
    }
    return true;
}

/* The standard forms call malloc; where that fails, the real ones know the new-handler and
 * exceptions. Without a C++ library there is no real one. */
#define PLAIN_NEW(name, origin, kind)                                                              \
    EXPORT void *name(size_t size)                                                                 \
    {                                                                                              \
        void *place = guarded(size, NATURAL, origin, CALLER_OF_RELAY());                           \
        if (place == NULL && policy == NEW_IS_MALLOC)                                              \
            place = real_allocate(size);                                                           \
        if (place != NULL || real.name == NULL)                                                    \
            return place;                                                                          \
        uint64_t before = mallocs();                                                               \
        return made(real.name(size), size | kind, before);                                         \
    }
#define NOTHROW_NEW(name, origin, kind)                                                            \
    EXPORT void *name(size_t size, const void *nothrow)                                            \
    {                                                                                              \
        void *place = guarded(size, NATURAL, origin, CALLER_OF_RELAY());                           \
        if (place == NULL && policy == NEW_IS_MALLOC)                                              \
            place = real_allocate(size);                                                           \
        if (place != NULL || real.name == NULL)                                                    \
            return place;                                                                          \
        uint64_t before = mallocs();                                                               \
        return made(real.name(size, nothrow), size | kind, before);                                \
    }
#define ALIGNED_NEW(name, origin)                                                                  \
    EXPORT void *name(size_t size, size_t alignment)                                               \
    {                                                                                              \
        void *place = guarded(size, alignment, origin, CALLER_OF_RELAY());                         \
        return place != NULL || real.name == NULL ? place : real.name(size, alignment);            \
    }
#define ALIGNED_NOTHROW_NEW(name, origin)                                                          \
    EXPORT void *name(size_t size, size_t alignment, const void *nothrow)                          \
    {                                                                                              \
        void *place = guarded(size, alignment, origin, CALLER_OF_RELAY());                         \
        return place != NULL || real.name == NULL ? place : real.name(size, alignment, nothrow);   \
    }

PLAIN_NEW(_Znwm, ORIGIN_NEW, OF_NEW)
PLAIN_NEW(_Znam, ORIGIN_NEW_ARRAY, OF_NEW_ARRAY)
NOTHROW_NEW(_ZnwmRKSt9nothrow_t, ORIGIN_NEW, OF_NEW)
NOTHROW_NEW(_ZnamRKSt9nothrow_t, ORIGIN_NEW_ARRAY, OF_NEW_ARRAY)
ALIGNED_NEW(_ZnwmSt11align_val_t, ORIGIN_NEW)
ALIGNED_NEW(_ZnamSt11align_val_t, ORIGIN_NEW_ARRAY)
ALIGNED_NOTHROW_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, ORIGIN_NEW)
ALIGNED_NOTHROW_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, ORIGIN_NEW_ARRAY)

#define DELETE(name, end, parameters, arguments)                                                   \
    EXPORT void name parameters                                                                    \
    {                                                                                              \
        if (released(address, end, CALLER_OF_RELAY()))                                             \
            return;                                                                                \
        if (real.name != NULL)                                                                     \
            real.name arguments;                                                                   \
        else /* no C++ library: operator new was malloc */                                         \
            real_release(address);                                                                 \
    }

DELETE(_ZdlPv, ORIGIN_DELETE, (void *address), (address))
DELETE(_ZdaPv, ORIGIN_DELETE_ARRAY, (void *address), (address))
DELETE(_ZdlPvm, ORIGIN_DELETE, (void *address, size_t size), (address, size))
DELETE(_ZdaPvm, ORIGIN_DELETE_ARRAY, (void *address, size_t size), (address, size))
DELETE(_ZdlPvRKSt9nothrow_t, ORIGIN_DELETE, (void *address, const void *nothrow),
       (address, nothrow))
DELETE(_ZdaPvRKSt9nothrow_t, ORIGIN_DELETE_ARRAY, (void *address, const void *nothrow),
       (address, nothrow))
DELETE(_ZdlPvSt11align_val_t, ORIGIN_DELETE, (void *address, size_t alignment),
       (address, alignment))
DELETE(_ZdaPvSt11align_val_t, ORIGIN_DELETE_ARRAY, (void *address, size_t alignment),
       (address, alignment))
DELETE(_ZdlPvmSt11align_val_t, ORIGIN_DELETE, (void *address, size_t size, size_t alignment),
       (address, size, alignment))
DELETE(_ZdaPvmSt11align_val_t, ORIGIN_DELETE_ARRAY, (void *address, size_t size, size_t alignment),
       (address, size, alignment))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, ORIGIN_DELETE,
       (void *address, size_t alignment, const void *nothrow), (address, alignment, nothrow))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, ORIGIN_DELETE_ARRAY,
       (void *address, size_t alignment, const void *nothrow), (address, alignment, nothrow))

EXPORT void __cxa_pure_virtual(void *self)
{
    if (guard_enter()) {
        event_pure_virtual(self, CALLER_OF_RELAY());
        guard_leave();
    }
    if (real.__cxa_pure_virtual != NULL)
        real.__cxa_pure_virtual(self);
    abort();
}
