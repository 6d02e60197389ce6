/* Arena: see arena.h. */
#include "heap/arena.h"

#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/owner.h"
#include "base/system.h"
#include "heap/back_end.h"

#include <sys/mman.h>

#define CHUNK ((size_t)2 * MEBI) /* opened at once; given back whole when all in it is dead */

uintptr_t arena_first, arena_last;

static const char *loss;

static struct lock arena_lock;
static uintptr_t next_place, opened_to;
static uint32_t *page_owner;         /* object number, by page of the arena */
static _Atomic uint32_t *chunk_live; /* objects alive, by chunk, plus one while it is filled */
static uint64_t memory_limit, largest;
static _Atomic size_t live_bytes;

bool arena_start(const struct options *options)
{
    back_end_start(options);
    if (back_end == BACK_OFF) {
        loss = "guard=off";
        return false;
    }
    size_t size = 256 * GIBI, pages, chunks;
    void *start = memory_reserve(&size, 8 * MEBI);
    if (start != NULL) {
        arena_first = ROUND_UP((uintptr_t)start, CHUNK);
        arena_last = ((uintptr_t)start + size) / CHUNK * CHUNK;
        pages = (arena_last - arena_first) / PAGE_SIZE * sizeof *page_owner;
        chunks = ((arena_last - arena_first) / CHUNK + 1) * sizeof *chunk_live;
        page_owner = memory_map(pages);
        chunk_live = memory_map(chunks);
    }
    if (start == NULL || page_owner == NULL || chunk_live == NULL || !object_start()) {
        loss = "no address space for guarded objects";
        output_tell_once("no address space for guarded objects (ulimit -v?): freed memory is only "
                         "poisoned",
                         NULL);
        arena_first = arena_last = 0;
        back_end = BACK_OFF;
        return false;
    }
    /* A huge page would be split by the first death in it. */
    (void)system_call3(SYS_madvise, (long)arena_first, (long)(arena_last - arena_first),
                       MADV_NOHUGEPAGE);
    next_place = opened_to = arena_first;
    memory_limit = options->guard_memory;
    largest = options->guard_size;
    return true;
}

const char *arena_back_end(void)
{
    return back_end_name();
}

const char *arena_loss(void)
{
    return loss;
}

static size_t chunk_of(uintptr_t address)
{
    return (address - arena_first) / CHUNK;
}

static void leave_chunk(size_t chunk)
{
    if (atomic_fetch_sub(&chunk_live[chunk], 1) == 1)
        back_end_close(arena_first + chunk * CHUNK, CHUNK);
}

static void refused(void)
{
    loss = "the kernel refused memory for guarded objects";
    output_tell_once(
        "the kernel refused memory for guarded objects: later objects are only poisoned", NULL);
}

/* Makes room up to `end` readable and writable. Objects do not cross into a chunk half opened. */
static bool open_to(uintptr_t end)
{
    while (opened_to < end) {
        if (opened_to + CHUNK > arena_last) {
            loss = "the addresses for guarded objects are used up";
            output_tell_once("the addresses for guarded objects are used up: later objects are "
                             "only poisoned",
                             NULL);
            return false;
        }
        if (!back_end_open(opened_to, CHUNK)) {
            refused();
            return false;
        }
        atomic_store(&chunk_live[chunk_of(opened_to)], 1);
        opened_to += CHUNK;
    }
    return true;
}

static uintptr_t take_pages(size_t size)
{
    lock_take(&arena_lock);
    uintptr_t place = next_place, end = place + size;
    /* Large objects span chunks: each chunk they touch counts them. */
    if (!open_to(end)) {
        lock_release(&arena_lock);
        return 0;
    }
    for (size_t chunk = chunk_of(place); chunk <= chunk_of(end - 1); chunk++)
        atomic_fetch_add(&chunk_live[chunk], 1);
    next_place = end;
    for (size_t chunk = chunk_of(place); chunk < chunk_of(end); chunk++)
        leave_chunk(chunk); /* filled */
    lock_release(&arena_lock);
    return place;
}

unsigned arena_quarters_used(void)
{
    uint64_t live = atomic_load_explicit(&live_bytes, memory_order_relaxed);
    return memory_limit == 0 || live >= memory_limit ? 3 : (unsigned)(live * 4 / memory_limit);
}

static void take_over_back_end(void)
{
    if (!back_end_forked(arena_first, opened_to))
        output_tell_once("userfaultfd is not allowed in this child of fork: late touches of what "
                         "died before the fork are not seen",
                         NULL);
}

/* A child by _Fork() or a raw clone went past arena_forked(). */
static void look_at_owner(void)
{
    if (back_end == BACK_USERFAULT && __builtin_expect(owner_claim(), 0))
        take_over_back_end();
}

struct object *arena_allocate(size_t size, size_t alignment)
{
    if (back_end == BACK_OFF || loss != NULL || size > largest || alignment > PAGE_SIZE)
        return NULL;
    size_t place_size = ROUND_UP(size + ARENA_SLACK, PAGE_SIZE);
    if (atomic_load_explicit(&live_bytes, memory_order_relaxed) + place_size > memory_limit)
        return NULL;
    if (!back_end_has_room()) {
        output_tell_once("the kernel's limit on mappings (vm.max_map_count) is near: later objects "
                         "are only poisoned",
                         NULL);
        loss = "vm.max_map_count is near";
        return NULL;
    }
    look_at_owner();
    struct object *object = object_new();
    if (object == NULL)
        return NULL;
    uintptr_t place = take_pages(place_size);
    if (place == 0)
        return NULL;
    if (!back_end_fill(place, place_size)) {
        refused();
        return NULL;
    }
    /* Spread over the page, in cache lines: objects that all began at its start would share a few
     * cache sets. */
    size_t unit = alignment > 64 ? alignment : 64;
    size_t steps = (place_size - ARENA_SLACK - size) / unit;
    size_t offset = steps == 0 ? 0 : object->number * UINT32_C(2654435761) % (steps + 1) * unit;
    object->address = place + offset;
    object->size = size;
    object->place = place;
    object->place_size = place_size;
    for (size_t page = 0; page < place_size / PAGE_SIZE; page++)
        page_owner[(place - arena_first) / PAGE_SIZE + page] = object->number;
    atomic_fetch_add(&live_bytes, place_size);
    atomic_store(&object->state, OBJECT_LIVE);
    return object;
}

struct object *arena_object(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    if (!arena_contains(address))
        return NULL;
    struct object *object = object_of_number(page_owner[(at - arena_first) / PAGE_SIZE]);
    if (object == NULL || atomic_load(&object->state) == OBJECT_UNUSED || at < object->place ||
        at >= object->place + object->place_size)
        return NULL;
    return object;
}

const struct object *arena_object_or_dead(const void *address)
{
    static const struct object dead = {.state = OBJECT_DEAD};
    const struct object *object = arena_object(address);
    return object == NULL ? &dead : object;
}

size_t arena_capacity(const struct object *object)
{
    return object->place + object->place_size - ARENA_SLACK - object->address;
}

bool arena_claim(struct object *object)
{
    uint32_t live = OBJECT_LIVE;
    return atomic_compare_exchange_strong(&object->state, &live, OBJECT_DYING);
}

void arena_kill(struct object *object)
{
    look_at_owner();
    bool dead = back_end_kill(object->place, object->place_size);
    if (!dead)
        output_tell_once("the kernel refused to take a dead object's memory away: late touches of "
                         "it are not seen",
                         NULL);
    atomic_store(&object->state, OBJECT_DEAD);
    atomic_fetch_sub(&live_bytes, object->place_size);
    for (size_t chunk = chunk_of(object->place);
         chunk <= chunk_of(object->place + object->place_size - 1); chunk++)
        leave_chunk(chunk);
}

bool arena_keeps_content(void)
{
    return back_end_keeps_content();
}

bool arena_reopen(struct object *object)
{
    if (!back_end_keeps_content())
        return false;
    atomic_store(&object->opened, true);
    return memory_protect((void *)object->place, object->place_size, PROT_READ | PROT_WRITE);
}

void arena_prepare_fork(void)
{
    lock_before_fork(&arena_lock);
}

void arena_forked(bool child)
{
    lock_after_fork(&arena_lock, child);
    if (child)
        take_over_back_end();
}
