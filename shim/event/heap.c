/* Heap events: births and destructions of heap objects, and frees that must not be. */
#include "event/event.h"
#include "event/internal.h"
#include "event/perturb.h"

#include "base/clock.h"
#include "heap/arena.h"
#include "heap/static_poison.h"
#include "registry/site.h"

static struct {
    bool poison_malloc;
    bool may_wait; /* one function frees them all */
    struct allocator allocator;
} heap;

void heap_events_start(const struct options *options, const struct allocator *allocator)
{
    heap.poison_malloc = options->poison_malloc;
    heap.allocator = *allocator;
    heap.may_wait = allocator->usable == allocator->usable_of_new;
}

bool is_allocators(uintptr_t address)
{
    return heap.allocator.is_caller != NULL && heap.allocator.is_caller(address);
}

/* From here until report_and_go_on() or report_prepared() an exit waits: the thread may be about to
 * report. */
void capture_touch(struct touch *touch, enum access access, const void *address,
                   const char *function, struct caller caller)
{
    report_prepare();
    *touch = (struct touch){.thread = thread_current(),
                            .access = access,
                            .address = (uintptr_t)address,
                            .function = function};
    if (touch->thread != NULL && touch->thread->tid != 0)
        thread_refresh_name((struct thread *)touch->thread);
    stack_capture(&touch->stack, caller);
}

static void *allocate_guarded(size_t size, size_t alignment, enum origin origin,
                              struct caller caller, struct site *site)
{
    if (!site_take(site, arena_quarters_used()))
        return NULL;
    struct object *object = arena_allocate(size, alignment);
    if (object == NULL)
        return NULL;
    object->site = site->number;
    object->birth = origin;
    object->birth_thread = guard.thread == NULL ? 0 : guard.thread->reference;
    object->birth_stack = stack_keep(caller);
    object->birth_ticks = clock_ticks();
    if (origin == ORIGIN_NEW || origin == ORIGIN_NEW_ARRAY ||
        (heap.poison_malloc && origin != ORIGIN_CALLOC))
        poison_fill((void *)object->address, size,
                    poison_first(POISON_UNINITIALISED, object->number, 0));
    return (void *)object->address;
}

void *event_allocate_slow(size_t size, size_t alignment, enum origin origin, struct caller caller)
{
    if (!guard_enter())
        return NULL;
    void *place = NULL;
    if (guard.thread == NULL)
        (void)thread_current();
    struct thread_block *block = guard.block;
    if (block != NULL && (block->allocations & EVENT_CLOCK_MASK) == 0)
        clock_advance_coarse();
    if (__builtin_expect(block != NULL && block->loading_slot != 0, 0)) {
        if (event_look_at_libraries(block, caller))
            event_next_is_slow(block);
        else
            block->loading_slot = 0;
    }
    struct site *site = site_find(caller);
    if ((origin == ORIGIN_MALLOC || origin == ORIGIN_ALIGNED) &&
        heap.allocator.is_new(caller.address))
        origin = ORIGIN_NEW;
    if (!site_is_spent(site) && !heap.allocator.is_caller(caller.address))
        place = allocate_guarded(size, alignment, origin, caller, site);
    guard_leave();
    return place;
}

static void destroy(struct object *object, enum origin end, struct caller caller)
{
    object->end = end;
    object->end_thread = guard.thread == NULL ? 0 : guard.thread->reference;
    object->end_stack = stack_keep(caller);
    object->end_ticks = clock_ticks();
    site_ended(object->site, object->end_ticks - object->birth_ticks);
    if (object->size >= sizeof object->first_word)
        object->first_word = *(const uint64_t *)object->address;
    tell_touches(object);
    if (__builtin_expect(atomic_load(&need_any), 0))
        tell_needs(object);
    arena_kill(object);
    note_users(object);
}

static __attribute__((noinline)) bool free_guarded(void *address, enum origin end,
                                                   struct caller caller)
{
    struct object *object = arena_object(address);
    if (object != NULL && (uintptr_t)address == object->address && arena_claim(object)) {
        destroy(object, end, caller);
        return true;
    }
    struct touch touch;
    struct finding finding;
    capture_touch(&touch, ACCESS_FREE, address, origin_name(end), caller);
    if (object != NULL && atomic_load(&object->state) == OBJECT_LIVE)
        detect_invalid_free(&finding, &touch, object);
    else
        detect_double_free(&finding, &touch, object, NULL);
    report_and_go_on(&finding);
    return true;
}

/* The pointer itself is a poison word: it was read from dead or never written memory. */
static __attribute__((noinline)) void free_poison(uint64_t word, enum origin end,
                                                  struct caller caller)
{
    struct touch touch;
    capture_touch(&touch, ACCESS_FREE, (const void *)(uintptr_t)word, origin_name(end), caller);
    (void)report_poison(&touch, word);
    report_prepared();
}

/* Free of a guarded object from inside the shim or a signal handler in it: any context. */
static void free_nested(void *address)
{
    struct object *object = arena_object(address);
    if (object == NULL || (uintptr_t)address != object->address || !arena_claim(object))
        return;
    object->end = ORIGIN_FREE;
    object->end_thread = guard.thread == NULL ? 0 : guard.thread->reference;
    object->end_ticks = guard_active ? clock_ticks() : 0; /* strict seccomp forbids it */
    arena_kill(object);
}

/* where: the kept stack of the second free, 0 where it is the caller's. */
static __attribute__((noinline)) void free_twice(const struct block *block, enum origin end,
                                                 uint32_t where, struct caller caller)
{
    struct touch touch;
    struct finding finding;
    capture_touch(&touch, ACCESS_FREE, (const void *)block->address, origin_name(end), caller);
    if (where != 0)
        (void)stack_get(where, &touch.stack);
    detect_double_free(&finding, &touch, NULL, block);
    report_and_go_on(&finding);
}

static size_t usable_size(void *address, enum origin end)
{
    return end == ORIGIN_DELETE || end == ORIGIN_DELETE_ARRAY
               ? heap.allocator.usable_of_new(address)
               : heap.allocator.usable(address);
}

static void finish_free(struct thread_block *owner, const struct waiting_free *waiting)
{
    static const struct caller unknown;
    enum origin end = (enum origin)waiting->end;
    const struct block *block = quarantine_at(waiting->address);
    if (__builtin_expect(block != NULL, 0) && block->address == (uintptr_t)waiting->address) {
        free_twice(block, end, waiting->where, unknown);
        return;
    }
    size_t usable = usable_size(waiting->address, end);
    if (usable == 0 || !quarantine_put(owner, waiting->address, usable, waiting->where, end))
        heap.allocator.release(waiting->address);
}

void finish_frees(struct thread_block *owner)
{
    owner->has_waiting = false;
    for (size_t i = 0; i < WAITING_FREES; i++) {
        struct waiting_free waiting = owner->waiting[i];
        owner->waiting[i].address = NULL;
        if (waiting.address != NULL)
            finish_free(owner, &waiting);
    }
}

void event_finish_frees(void)
{
    if (!guard_enter())
        return;
    finish_frees(guard.block);
    guard_leave();
}

/* Where a program ends with millions of blocks each is waited for, since what it holds has left the
 * caches long ago. So a block is only asked for, and looked at some frees later. */
static bool wait_for_block(struct thread_block *owner, void *address, enum origin end,
                           uint32_t where)
{
    struct waiting_free *place = &owner->waiting[owner->waiting_next], oldest = *place;
    for (size_t i = 0; i < WAITING_FREES; i++)
        if (__builtin_expect(owner->waiting[i].address == address, 0)) {
            finish_frees(owner); /* the second free of one: it must find the poison */
            return false;
        }
    __builtin_prefetch((char *)address - 2 * sizeof(size_t)); /* glibc's record of its size */
    __builtin_prefetch(address, 1);
    *place = (struct waiting_free){address, where, (uint32_t)end};
    owner->waiting_next = (owner->waiting_next + 1) % WAITING_FREES;
    owner->has_waiting = true;
    if (oldest.address != NULL)
        finish_free(owner, &oldest);
    return true;
}

static bool free_watched(void *address, enum origin end, struct caller caller)
{
    if (arena_contains(address))
        return free_guarded(address, end, caller);
    if (__builtin_expect(poison_looks_like((uint64_t)(uintptr_t)address), 0)) {
        free_poison((uint64_t)(uintptr_t)address, end, caller);
        return false;
    }
    if (__builtin_expect(guard.thread == NULL, 0))
        (void)thread_current();
    /* Before the block is looked at: its memory is the slow part. */
    bool shutdown = quarantine_is_shutdown();
    uint32_t where = shutdown ? stack_keep(caller) : site_find(caller)->number;
    if (shutdown && heap.may_wait && guard.block != NULL && quarantine_in_bulk(guard.block) &&
        wait_for_block(guard.block, address, end, where))
        return true;
    const struct block *block = quarantine_at(address);
    if (__builtin_expect(block != NULL, 0) && block->address == (uintptr_t)address) {
        free_twice(block, end, 0, caller);
        return true;
    }
    size_t usable = usable_size(address, end);
    if (usable == 0)
        return false;
    return quarantine_put(guard.block, address, usable, where, end);
}

bool event_free_slow(void *address, enum origin end, struct caller caller)
{
    if (event_heap_watched && guard_enter()) {
        bool taken = free_watched(address, end, caller);
        guard_leave();
        if (taken && arena_contains(address))
            perturb(PERTURB_DESTRUCTION, caller.address);
        return taken;
    }
    if (!arena_contains(address))
        return false;
    free_nested(address);
    return true;
}

bool event_resize(struct object *object, size_t size)
{
    if (atomic_load(&object->state) != OBJECT_LIVE || size > arena_capacity(object))
        return false;
    object->size = size;
    return true;
}

/* From the quarantine, with the block still in place. */
void tell_late_write(const struct block *block, uint32_t word, uint64_t found)
{
    struct touch noticed;
    struct finding finding;
    struct caller nowhere = {0, 0};
    capture_touch(&noticed, ACCESS_WRITE, (const void *)block->address, NULL, nowhere);
    noticed.stack.count = 0; /* where it was noticed says nothing about the writer */
    detect_late_write(&finding, &noticed, block, word, found);
    report_and_go_on(&finding);
}

/* Of a lock or a buffer. */
static bool touch_static(enum access access, const void *address, const char *function,
                         struct caller caller)
{
    struct static_object *object = static_untouched(address);
    if (object == NULL)
        return false;
    struct touch touch;
    capture_touch(&touch, access, address, function, caller);
    tell_static(&touch, object, (uintptr_t)address - object->address, false);
    report_prepared();
    return true;
}

void event_lock_slow(const void *address, bool is_spin, const char *function, struct caller caller)
{
    if (!guard_enter())
        return;
    if ((static_object_may_hold(address) && touch_static(ACCESS_LOCK, address, function, caller)) ||
        tell_destroyed_lock(address, is_spin, function, caller)) {
        guard_leave();
        return;
    }
    struct touch touch;
    struct finding finding;
    struct object *object = arena_contains(address) ? arena_object(address) : NULL;
    const struct block *block = arena_contains(address) ? NULL : quarantine_at(address);
    if (block == NULL && object == NULL)
        block = quarantine_at((const char *)address + 8); /* a waiter changed the first word */
    bool dead = object != NULL && atomic_load(&object->state) == OBJECT_DEAD &&
                !atomic_load(&object->opened);
    if (dead || block != NULL) {
        capture_touch(&touch, ACCESS_LOCK, address, function, caller);
        if (dead)
            detect_dead_object(&finding, &touch, object);
        else
            detect_freed_block(&finding, &touch, block, (uintptr_t)address - block->address);
        finding.can_continue = dead;
        report_and_go_on(&finding);
        if (dead)
            (void)arena_reopen(object);
    }
    guard_leave();
}

static void buffer_elsewhere(const void *address, const char *function, struct caller caller)
{
    if (!guard_enter())
        return;
    if (!touch_static(ACCESS_SYSTEM, address, function, caller) &&
        thread_stack_is_dead((uintptr_t)address)) {
        struct touch touch;
        capture_touch(&touch, ACCESS_SYSTEM, address, function, caller);
        buffer_in_thread_stack(&touch);
        report_prepared();
    }
    guard_leave();
}

void event_buffer(const void *address, const char *function, struct caller caller)
{
    if (!arena_contains(address)) {
        buffer_elsewhere(address, function, caller);
        return;
    }
    struct object *object = arena_object(address);
    if (object == NULL || atomic_load(&object->state) != OBJECT_DEAD ||
        atomic_load(&object->opened) || !guard_enter())
        return;
    struct touch touch;
    struct finding finding;
    capture_touch(&touch, ACCESS_SYSTEM, address, function, caller);
    detect_dead_object(&finding, &touch, object);
    finding.can_continue = true; /* the program sees the kernel's error, as it would bare */
    report_and_go_on(&finding);
    guard_leave();
}

void event_sent(const void *address, size_t length, const char *function, struct caller caller)
{
    if (length < 8 || ((uintptr_t)address & 7) != 0 || quarantine_at(address) == NULL ||
        !guard_enter())
        return;
    const struct block *block = quarantine_at(address);
    if (block != NULL) {
        struct touch touch;
        struct finding finding;
        capture_touch(&touch, ACCESS_SYSTEM, address, function, caller);
        detect_freed_block(&finding, &touch, block, (uintptr_t)address - block->address);
        finding.can_continue = true;
        report_and_go_on(&finding);
    }
    guard_leave();
}

void event_pure_virtual(void *self, struct caller caller)
{
    struct touch touch;
    struct finding finding;
    capture_touch(&touch, ACCESS_CALL, self, "__cxa_pure_virtual", caller);
    struct object *object = arena_contains(self) ? arena_object(self) : NULL;
    detect_pure_virtual_call(&finding, &touch, object, self);
    report_and_go_on(&finding);
}
