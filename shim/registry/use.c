/* Use: see use.h. */
#include "registry/use.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"

#define USERS_LEAST 4096 /* where addresses are few */

/* The users of one object. The record of an object is reused, its address never: it tells whose
 * users these are. */
struct users {
    _Atomic uintptr_t address;
    struct use uses[OBJECT_USES];
    struct use_rhythm rhythms[OBJECT_USES]; /* of the same */
};

static struct lock uses_lock; /* over who has which place */
static struct users *users;
static uint32_t records;
static _Atomic uint32_t highest; /* number with users */

bool use_start(void)
{
    size_t size = OBJECTS * sizeof *users;
    users = memory_map_sparse(&size, USERS_LEAST * sizeof *users);
    records = users == NULL ? 0 : (uint32_t)(size / sizeof *users);
    return users != NULL;
}

static struct use *find(struct users *of, thread_reference thread)
{
    for (size_t i = 0; i < OBJECT_USES; i++)
        if (atomic_load_explicit(&of->uses[i].thread, memory_order_relaxed) == thread)
            return &of->uses[i];
    return NULL;
}

static bool has_ended(thread_reference reference)
{
    const struct thread *thread = thread_of_reference(reference);
    return thread == NULL || thread->state == THREAD_FINISHED;
}

/* The place of a new user: a free one, or that of a user who ended, or of the oldest. */
static struct use *choose(struct users *of)
{
    struct use *free = find(of, 0), *ended = NULL, *oldest = &of->uses[0];
    if (free != NULL)
        return free;
    for (size_t i = 0; i < OBJECT_USES; i++) {
        struct use *use = &of->uses[i];
        if (has_ended(use->thread) && (ended == NULL || use->last_ticks < ended->last_ticks))
            ended = use;
        if (use->last_ticks < oldest->last_ticks)
            oldest = use;
    }
    return ended != NULL ? ended : oldest;
}

/* NULL where a fork is under way: sem_post() may have been called by a signal handler. */
static struct use *add(const struct object *object, thread_reference thread, uint64_t now)
{
    struct users *of = &users[object->number];
    if (!lock_try(&uses_lock))
        return NULL;
    if (of->address != object->address) {
        atomic_store(&of->address, 0);
        for (size_t i = 0; i < OBJECT_USES; i++)
            atomic_store(&of->uses[i].thread, 0);
        atomic_store(&of->address, object->address);
    }
    struct use *use = choose(of);
    atomic_store(&use->thread, 0); /* no reader must believe half of it */
    use->sources = use->count = use->stack = 0;
    use->caller = 0;
    use->function = NULL;
    use->first_ticks = use->last_ticks = now;
    of->rhythms[use - of->uses] =
        (struct use_rhythm){.waits = guard.block == NULL ? 0 : guard.block->sleep.count};
    atomic_store_explicit(&use->thread, thread, memory_order_release);
    if (object->number > highest)
        atomic_store(&highest, object->number);
    lock_release(&uses_lock);
    return use;
}

/* Of a thread that touches from many places in turn only every so often one is kept. */
static bool is_new_place(const struct use *use, struct caller caller)
{
    return use->caller != caller.address && (use->count & (use->count - 1)) == 0;
}

static void note_place(struct use_rhythm *rhythm, uint32_t place)
{
    for (size_t i = 0; i < USE_PLACES && rhythm->places[i] != place; i++)
        if (rhythm->places[i] == 0) {
            rhythm->places[i] = place;
            return;
        }
}

static void note_rhythm(struct use_rhythm *rhythm, const struct thread_block *block)
{
    const struct thread_sleep *sleep = &block->sleep;
    uint32_t count = sleep->count - rhythm->waits;
    rhythm->releases = block->releases;
    if (count == 0)
        return;
    rhythm->rounds++;
    if (count > rhythm->gap)
        rhythm->gap = count;
    for (size_t i = 0; i < SLEEP_PLACES; i++)
        if (sleep->places[i].place != 0 && sleep->places[i].count - rhythm->waits - 1 < count)
            note_place(rhythm, sleep->places[i].place);
    rhythm->waits = sleep->count;
}

/* An object has its pages for itself. */
static uintptr_t page_of(uintptr_t address)
{
    return address / PAGE_SIZE;
}

static struct recent_use *recent_of(struct thread_block *block, uintptr_t page)
{
    return &block->recent_uses[page % RECENT_USES];
}

bool use_note_again(const void *address, enum use_source source, struct caller caller)
{
    struct thread_block *block = guard.block;
    uintptr_t page = page_of((uintptr_t)address);
    if (block == NULL || guard.inside != 0)
        return false;
    const struct recent_use *recent = recent_of(block, page);
    struct users *of = recent->users;
    if (recent->page != page || of->address != recent->address)
        return false;
    struct use *use = &of->uses[recent->place];
    if (use->thread != block->reference)
        return false;
    if (use->caller != caller.address && (use->count & (use->count + 1)) == 0)
        return false; /* it may be a new place */
    use->count++;
    use->sources |= UINT32_C(1) << source;
    use->last_ticks = clock_ticks();
    note_rhythm(&of->rhythms[recent->place], block);
    return true;
}

void use_note(struct object *object, enum use_source source, const char *function,
              struct caller caller)
{
    const struct thread *thread = guard.thread;
    if (thread == NULL || thread->ignoring > 0 || object->number >= records)
        return;
    uint64_t now = clock_ticks();
    struct users *of = &users[object->number];
    struct use *use = of->address == object->address ? find(of, thread->reference) : NULL;
    if (__builtin_expect(use == NULL, 0))
        use = add(object, thread->reference, now);
    if (__builtin_expect(use == NULL, 0))
        return;
    use->count++;
    use->sources |= UINT32_C(1) << source;
    use->last_ticks = now;
    uint32_t place = (uint32_t)(use - of->uses);
    if (guard.block != NULL) {
        uintptr_t page = page_of(object->address);
        *recent_of(guard.block, page) = (struct recent_use){page, object->address, of, place};
        note_rhythm(&of->rhythms[place], guard.block);
    }
    if (__builtin_expect(is_new_place(use, caller), 0)) {
        use->caller = caller.address;
        use->function = function;
        use->stack = caller.slot == 0 ? 0 : stack_keep(caller);
    }
}

bool use_rhythm_of(const struct object *object, thread_reference thread, struct use_rhythm *rhythm)
{
    if (object->number >= records || users[object->number].address != object->address)
        return false;
    struct users *of = &users[object->number];
    const struct use *use = find(of, thread);
    if (use == NULL)
        return false;
    *rhythm = of->rhythms[use - of->uses];
    return true;
}

size_t use_users(const struct object *object, struct use *uses, size_t most)
{
    size_t found = 0;
    if (object->number >= records || users[object->number].address != object->address)
        return 0;
    const struct users *of = &users[object->number];
    for (size_t i = 0; i < OBJECT_USES && found < most; i++) {
        thread_reference thread = atomic_load(&of->uses[i].thread);
        uses[found] = of->uses[i];
        if (thread != 0 && uses[found].thread == thread)
            found++;
    }
    return found;
}

size_t use_objects(thread_reference thread, uint32_t *numbers, size_t most)
{
    size_t found = 0;
    for (uint32_t number = 1; number <= highest && found < most; number++) {
        struct users *of = &users[number];
        const struct object *object = object_of_number(number);
        if (of->address != 0 && object != NULL && of->address == object->address &&
            find(of, thread) != NULL)
            numbers[found++] = number;
    }
    return found;
}

void use_handed_over(const struct object *object)
{
    if (guard.thread == NULL || object->number >= records ||
        users[object->number].address != object->address)
        return;
    struct use *use = find(&users[object->number], guard.thread->reference);
    if (use != NULL)
        atomic_store(&use->thread, 0);
}

void use_prepare_fork(void)
{
    lock_before_fork(&uses_lock);
}

void use_forked(bool child)
{
    lock_after_fork(&uses_lock, child);
}
