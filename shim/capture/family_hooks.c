/* Family hooks: see family_hooks.h. A block with a place of its own must never come to the real
 * functions: it is moved into their heap first, or ended. */
#include "capture/family_hooks.h"

#include "capture/real.h"

#include "base/text.h"
#include "event/event.h"
#include "heap/arena.h"

#define NATURAL 16

typedef uintptr_t word; /* an argument that is only passed on */

enum {
#define FAMILY(kind, name) INDEX_##name,
#include "capture/family_hooks.def"
#undef FAMILY
    FAMILY_COUNT
};

/* Five words: as many as any of these functions takes, all in registers. */
static uintptr_t real_of[FAMILY_COUNT];
#define REAL(name, ...)                                                                            \
    ((uintptr_t(*)(word, word, word, word, word))real_of[INDEX_##name])(__VA_ARGS__)

static bool shares_heap;

void family_start(bool shares)
{
    shares_heap = shares;
}

/* True: the block has been taken. */
static inline bool taken(word address, struct caller caller)
{
    void *block = (void *)address;
    return block != NULL && (shares_heap || arena_contains(block)) &&
           event_free(block, ORIGIN_FREE, caller);
}

/* Makes a block of the heap that the function works on. Zeroed wherever that heap has a calloc, to
 * its end, which may lie behind `size`: functions that resize and zero begin at the end of the
 * block that they are given. */
static uintptr_t make_in_family(size_t size)
{
    static const struct {
        int zeroing, plain;
    } makers[] = {{INDEX_je_calloc, INDEX_je_malloc},
                  {INDEX_tc_calloc, INDEX_tc_malloc},
                  {INDEX_mi_calloc, INDEX_mi_malloc}};
    for (size_t i = 0; !shares_heap && i < sizeof makers / sizeof *makers; i++) {
        if (real_of[makers[i].zeroing] != 0)
            return ((uintptr_t(*)(size_t, size_t))real_of[makers[i].zeroing])(1, size);
        if (real_of[makers[i].plain] != 0)
            return ((uintptr_t(*)(size_t))real_of[makers[i].plain])(size);
    }
    return real.calloc != NULL ? (uintptr_t)real.calloc(1, size) : (uintptr_t)real_allocate(size);
}

/* Whether the block has a place of its own and is to be exchanged for one of the real heap. A wrong
 * one is told, and is none. */
static bool is_ours(word address, struct caller caller)
{
    const void *block = (const void *)address;
    const struct object *object = arena_object(block);
    if (object != NULL && object->address == address && atomic_load(&object->state) == OBJECT_LIVE)
        return true;
    (void)event_free((void *)address, ORIGIN_FREE, caller);
    return false;
}

static word copy_in_family(word address)
{
    size_t size = arena_object((const void *)address)->size;
    uintptr_t fresh = make_in_family(size);
    if (fresh != 0)
        __builtin_memcpy((void *)fresh, (const void *)address, size);
    return fresh;
}

/* The real function had a copy. Where it failed the block is the program's still, unless it asked
 * for nothing, or for it to be freed then; the copy is left: it may be freed, or not. */
static word resized(word address, word result, bool ends_anyway, struct caller caller)
{
    if (result != 0 || ends_anyway)
        (void)event_free((void *)address, ORIGIN_REALLOC, caller);
    return result;
}

static inline word size_or_zero(word address)
{
    const struct object *object = arena_object((const void *)address);
    return object == NULL ? 0 : object->size;
}

#define HOOK_FREE(name)                                                                            \
    static void hook_##name(word block, word b, word c)                                            \
    {                                                                                              \
        if (!taken(block, CALLER_OF_RELAY()))                                                      \
            (void)REAL(name, block, b, c, 0, 0);                                                   \
    }
#define RESIZE(name, block, size, frees)                                                           \
    struct caller caller = CALLER_OF_RELAY();                                                      \
    if (!arena_contains((const void *)(block)))                                                    \
        return REAL(name, a, b, c, d, e);                                                          \
    word fresh = is_ours(block, caller) ? copy_in_family(block) : 0, ours = block;                 \
    if (fresh == 0)                                                                                \
        return 0;                                                                                  \
    (block) = fresh;                                                                               \
    return resized(ours, REAL(name, a, b, c, d, e), (frees) || (size) == 0, caller);

#define HOOK_RESIZE(name)                                                                          \
    static word hook_##name(word a, word b, word c, word d, word e)                                \
    {                                                                                              \
        RESIZE(name, a, b, false)                                                                  \
    }
#define HOOK_RESIZE_OR_FREE(name)                                                                  \
    static word hook_##name(word a, word b, word c, word d, word e)                                \
    {                                                                                              \
        RESIZE(name, a, b, true)                                                                   \
    }
#define HOOK_RESIZE_SECOND(name)                                                                   \
    static word hook_##name(word a, word b, word c, word d, word e)                                \
    {                                                                                              \
        RESIZE(name, b, c, false)                                                                  \
    }
#define HOOK_RESIZE_SECOND_OR_FREE(name)                                                           \
    static word hook_##name(word a, word b, word c, word d, word e)                                \
    {                                                                                              \
        RESIZE(name, b, c, true)                                                                   \
    }
/* A block with a place of its own is as large as was asked for, which is an answer, too. */
#define HOOK_ROUND(name)                                                                           \
    static word hook_##name(word size, word flags)                                                 \
    {                                                                                              \
        return REAL(name, size, flags, 0, 0, 0) == 0 ? 0 : size;                                   \
    }
#define HOOK_SIZE(name)                                                                            \
    static word hook_##name(word block, word b)                                                    \
    {                                                                                              \
        return arena_contains((const void *)block) ? size_or_zero(block)                           \
                                                   : REAL(name, block, b, 0, 0, 0);                \
    }
#define HOOK_KEEP(name)                                                                            \
    static word hook_##name(word block, word b)                                                    \
    {                                                                                              \
        return arena_contains((const void *)block) ? 0 : REAL(name, block, b, 0, 0, 0);            \
    }
#define HOOK_MALLOC(name)                                                                          \
    static word hook_##name(word size)                                                             \
    {                                                                                              \
        void *place = event_allocate(size, NATURAL, ORIGIN_MALLOC, CALLER_OF_RELAY());             \
        return place != NULL ? (word)place : REAL(name, size, 0, 0, 0, 0);                         \
    }
#define HOOK_CALLOC(name)                                                                          \
    static word hook_##name(word count, word size)                                                 \
    {                                                                                              \
        word total;                                                                                \
        void *place = NULL;                                                                        \
        if (!__builtin_mul_overflow(count, size, &total))                                          \
            place = event_allocate(total, NATURAL, ORIGIN_CALLOC, CALLER_OF_RELAY());              \
        return place != NULL ? (word)place : REAL(name, count, size, 0, 0, 0);                     \
    }

/* jemalloc(3): flags hold the alignment's logarithm in six bits, then MALLOCX_ZERO; a thread cache
 * or an arena above these is the caller's own choice of place, which is respected. */
#define FLAGS_ALIGNMENT 0x3f
#define FLAGS_ZERO 0x40

#define HOOK_MALLOCX(name)                                                                         \
    static word hook_##name(word size, word flags)                                                 \
    {                                                                                              \
        void *place = NULL;                                                                        \
        size_t alignment = (size_t)1 << (flags & FLAGS_ALIGNMENT);                                 \
        if (((uint32_t)flags & ~(uint32_t)(FLAGS_ALIGNMENT | FLAGS_ZERO)) == 0 && size != 0)       \
            place = event_allocate(size, alignment < NATURAL ? NATURAL : alignment,                \
                                   (flags & FLAGS_ZERO) != 0 ? ORIGIN_CALLOC : ORIGIN_MALLOC,      \
                                   CALLER_OF_RELAY());                                             \
        return place != NULL ? (word)place : REAL(name, size, flags, 0, 0, 0);                     \
    }
/* Resizes in place or not at all, and tells the size that came of it. */
#define HOOK_XALLOCX(name)                                                                         \
    static word hook_##name(word block, word size, word extra, word flags)                         \
    {                                                                                              \
        struct object *object = arena_object((const void *)block);                                 \
        if (!arena_contains((const void *)block))                                                  \
            return REAL(name, block, size, extra, flags, 0);                                       \
        if (object != NULL && (flags & FLAGS_ZERO) == 0)                                           \
            (void)event_resize(object, size);                                                      \
        return object == NULL ? 0 : object->size;                                                  \
    }

/* mi_heap_destroy() ends all blocks of a heap at once, those in quarantine too: blocks of a
 * program's own heaps must not be kept. */
static bool own_heaps;

#define HOOK_OWN_HEAP(name)                                                                        \
    static word hook_##name(word a, word b)                                                        \
    {                                                                                              \
        __atomic_store_n(&own_heaps, true, __ATOMIC_RELAXED);                                      \
        return REAL(name, a, b, 0, 0, 0);                                                          \
    }
/* arena.N.reset and arena.N.destroy end all blocks of an arena at once (jemalloc(3)): once the
 * program makes arenas, freed blocks are not kept. */
static bool own_arenas;

static void note_control(const char *name)
{
    if (text_begins(name, "arenas.create") || text_begins(name, "arenas.extend"))
        __atomic_store_n(&own_arenas, true, __ATOMIC_RELAXED);
}

#define HOOK_CONTROL(name)                                                                         \
    static word hook_##name(word a, word b, word c, word d, word e)                                \
    {                                                                                              \
        note_control((const char *)a);                                                             \
        return REAL(name, a, b, c, d, e);                                                          \
    }
#define HOOK_ASKED(name)                                                                           \
    static word hook_##name(word a, word b)                                                        \
    {                                                                                              \
        return REAL(name, a, b, 0, 0, 0);                                                          \
    }

#define FAMILY(kind, name) HOOK_##kind(name)
#include "capture/family_hooks.def"
#undef FAMILY

const struct family_entry *family_entries(size_t *count)
{
#define FAMILY(kind, name) {#name, (uintptr_t)&hook_##name, &real_of[INDEX_##name]},
    static const struct family_entry entries[] = {
#include "capture/family_hooks.def"
    };
#undef FAMILY
    *count = sizeof entries / sizeof *entries;
    return entries;
}

static size_t (*usable_behind)(void *address);

static size_t usable_in_main_heap(void *address)
{
    if (__atomic_load_n(&own_arenas, __ATOMIC_RELAXED))
        return 0;
    if (__atomic_load_n(&own_heaps, __ATOMIC_RELAXED)) {
        word heap = REAL(mi_heap_get_backing, 0, 0, 0, 0, 0);
        if ((uint8_t)REAL(mi_heap_contains_block, heap, (word)address, 0, 0, 0) == 0) /* a bool */
            return 0;
    }
    return usable_behind(address);
}

void family_stand_between(struct allocator *allocator)
{
    bool mimalloc =
        real_of[INDEX_mi_heap_get_backing] != 0 && real_of[INDEX_mi_heap_contains_block] != 0;
    bool jemalloc = real_of[INDEX_mallctl] != 0 || real_of[INDEX_je_mallctl] != 0;
    if (!shares_heap || !(mimalloc || jemalloc))
        return;
    usable_behind = allocator->usable;
    allocator->usable = allocator->usable_of_new = usable_in_main_heap;
}
