/* Lock events: see lock.h. */
#include "event/lock.h"
#include "event/internal.h"

#include "base/clock.h"
#include "registry/destroyed_lock.h"
#include "registry/wait.h"

#include <errno.h>

/* Call paths that a thread looks for at once, and then one a millisecond. */
#define SITES_FIRST 64

bool event_locks_unwind;

uint64_t event_lock_call(struct thread_block *block, struct caller caller)
{
    uint64_t now = clock_coarse_milliseconds(), call = caller.address;
    if (!event_locks_unwind || stack_is_unwinder(caller.address))
        return call;
    if ((block->lock_sites >= SITES_FIRST && block->lock_sites_now == now) || !guard_enter())
        return call;
    int saved = errno;
    block->lock_sites++;
    block->lock_sites_now = now;
    uint32_t number = site_find(caller)->number;
    if (number != 0)
        call = number | HELD_LOCK_SITE;
    guard_leave();
    errno = saved;
    return call;
}

static void tell(struct finding *finding)
{
    report_prepare();
    report_or_stop(finding);
    report_prepared();
}

static void capture_lock_touch(struct touch *touch, const void *address, const char *function,
                               struct caller caller)
{
    *touch = (struct touch){.thread = thread_current(),
                            .access = ACCESS_LOCK,
                            .address = (uintptr_t)address,
                            .function = function};
    if (touch->thread != NULL && touch->thread->tid != 0)
        thread_refresh_name((struct thread *)touch->thread);
    stack_capture(&touch->stack, caller);
}

static bool is_taken_away(const void *address)
{
    return (arena_contains(address) && arena_live(address) == NULL) ||
           static_untouched(address) != NULL;
}

bool tell_destroyed_lock(const void *address, bool is_spin, const char *function,
                         struct caller caller)
{
    struct destroyed_lock lock;
    if (is_taken_away(address))
        return false;
    if (!destroyed_lock_find(address, is_spin, &lock)) {
        destroyed_lock_restore(address, is_spin);
        return false;
    }
    struct touch touch;
    struct finding finding;
    capture_lock_touch(&touch, address, function, caller);
    detect_use_after_destroy(&finding, &touch, &lock, arena_live(address));
    tell(&finding);
    destroyed_lock_restore(address, is_spin);
    return true;
}

/* Who uses a lock in [address, address + size). */
struct lock_search {
    uintptr_t address;
    size_t size;
    struct lock_use use;
};

static struct thread *user_of(const struct thread_block *block)
{
    struct thread *thread = thread_of_reference(block->reference);
    return thread != NULL && thread->state == THREAD_RUNNING && thread->block == block ? thread
                                                                                       : NULL;
}

static bool in_range(const struct lock_search *search, uintptr_t address)
{
    return address - search->address < search->size;
}

static bool find_held(const struct thread_block *block, struct lock_search *search)
{
    struct thread *thread = user_of(block);
    for (uint32_t i = THREAD_LOCKS; thread != NULL && i-- > 0;) {
        struct held_lock lock = block->locks[i];
        if (lock.address != 0 && in_range(search, lock.address) &&
            held_lock_is_true(&lock, thread->tid)) {
            search->use =
                (struct lock_use){.thread = thread,
                                  .address = lock.address,
                                  .sort = held_lock_how(&lock) == HELD_MUTEX  ? LOCK_MUTEX
                                          : held_lock_how(&lock) == HELD_SPIN ? LOCK_SPIN
                                                                              : LOCK_RWLOCK,
                                  .holds = true,
                                  .held = lock};
            return true;
        }
    }
    return false;
}

static bool find_holder(struct lock_search *search)
{
    const struct thread_block *block;
    for (uint32_t i = 0; (block = thread_block_of_number(i)) != NULL; i++)
        if (block != guard.block && find_held(block, search))
            return true;
    return false;
}

static bool is_waiting(const struct thread_wait *wait, const struct thread *thread)
{
    return held_lock_sleeps(thread->tid, wait->address, lock_sort_size(wait_lock_sort(wait)));
}

/* The kernel is asked twice, and the call must be the same one: who was told is on its way out. Of
 * a barrier the last one to come tells the others, and may not have told all. */
static bool find_waiter(struct lock_search *search)
{
    const struct thread_block *block;
    bool found = false;
    for (uint32_t i = 0; (block = thread_block_of_number(i)) != NULL; i++) {
        struct thread *thread = block == guard.block ? NULL : user_of(block);
        struct thread_wait wait = block->wait;
        if (thread == NULL || !wait_is_for_lock(&wait) ||
            !(in_range(search, wait.address) || (wait.mutex != 0 && in_range(search, wait.mutex))))
            continue;
        bool waits = is_waiting(&wait, thread) && is_waiting(&wait, thread) &&
                     block->wait.what == wait.what && block->wait.ticks == wait.ticks &&
                     block->wait.address == wait.address && block->wait.slot == wait.slot;
        if (!waits && wait.what == WAIT_BARRIER)
            return false;
        if (waits && !found)
            search->use = (struct lock_use){.thread = thread,
                                            .address = wait.address,
                                            .sort = wait_lock_sort(&wait),
                                            .wait = wait};
        found = found || waits;
    }
    return found;
}

/* By libc's record alone: the thread's own list was too short. */
static bool find_owner(const void *mutex, struct lock_search *search)
{
    pid_t owner = held_lock_owner(mutex);
    struct thread *thread = owner == 0 ? NULL : thread_of_tid(owner);
    if (thread == NULL || thread == guard.thread)
        return false;
    search->use = (struct lock_use){
        .thread = thread, .address = (uintptr_t)mutex, .sort = LOCK_MUTEX, .holds = true};
    return true;
}

static void complete_use(struct lock_use *use)
{
    struct thread *thread = (struct thread *)use->thread;
    thread_refresh_name(thread);
    if (!use->holds) {
        stack_capture_waiting(&use->stack, (struct caller){use->wait.caller, use->wait.slot});
        return;
    }
    uint64_t call = use->held.call & (HELD_LOCK_SITE - 1);
    if ((use->held.call & HELD_LOCK_SITE) != 0)
        (void)site_frames((uint32_t)call, &use->stack);
    else if (call != 0)
        use->stack = (struct stack){.count = 1, .frames = {call}};
    if (thread != guard.thread && !report_sample(thread->tid, &use->now))
        use->now.count = 0;
}

/* No lock word says that it is used: most are destroyed so, and nobody needs to be asked. Reads
 * only what the call itself reads. */
static bool is_at_rest(const void *address, enum lock_sort sort)
{
    enum { MUTEX_USERS = 3, RWLOCK_WORDS = 7 };
    const volatile uint32_t *words = address;
    if (sort == LOCK_MUTEX) /* who waits for a condition variable is a user of its mutex */
        return words[0] == 0 && words[MUTEX_USERS] == 0;
    if (sort == LOCK_SPIN)
        return words[0] == 1;
    if (sort != LOCK_RWLOCK)
        return false;
    uint32_t used = words[0] & ~UINT32_C(1); /* which of readers and writers come next */
    for (int i = 1; i < RWLOCK_WORDS; i++)
        used |= i == 2 ? 0 : words[i]; /* a futex */
    return used == 0;
}

static void tell_users(const void *address, enum lock_sort sort, const char *function,
                       struct caller caller)
{
    struct lock_search search = {.address = (uintptr_t)address, .size = lock_sort_size(sort)};
    bool found = find_holder(&search) || find_waiter(&search) ||
                 (sort == LOCK_MUTEX && find_owner(address, &search)) ||
                 (guard.block != NULL && find_held(guard.block, &search));
    if (!found)
        return;
    struct touch touch;
    struct finding finding;
    complete_use(&search.use);
    capture_lock_touch(&touch, address, function, caller);
    detect_destroy_while_in_use(&finding, &search.use, &touch, arena_live(address));
    tell(&finding);
}

bool event_lock_destroying(const void *address, enum lock_sort sort, const char *function,
                           struct caller caller)
{
    int saved = errno;
    if (!guard_enter())
        return false;
    (void)thread_current();
    if (!is_at_rest(address, sort))
        tell_users(address, sort, function, caller);
    bool marks = destroyed_lock_may_mark(address, sort);
    guard_leave();
    errno = saved;
    return marks;
}

void event_lock_destroyed(const void *address, enum lock_sort sort, const char *function,
                          struct caller caller)
{
    int saved = errno;
    if (!guard_enter())
        return;
    const struct destroyed_lock lock = {.address = (uintptr_t)address,
                                        .sort = sort,
                                        .function = function,
                                        .ticks = clock_ticks(),
                                        .stack = stack_keep(caller),
                                        .thread =
                                            guard.thread == NULL ? 0 : guard.thread->reference};
    destroyed_lock_mark(&lock);
    guard_leave();
    errno = saved;
}

void event_lock_destroying_slow(const void *address, enum lock_sort sort, const char *function,
                                struct caller caller)
{
    int saved = errno;
    if (guard_enter()) {
        bool lives = !is_taken_away(address);
        if (lives)
            destroyed_lock_restore(address, sort == LOCK_SPIN);
        guard_leave();
    }
    event_lock_slow(address, sort == LOCK_SPIN, function, caller);
    errno = saved;
}

void tell_lock_users(struct object *object)
{
    struct lock_search search = {.address = object->address, .size = object->size};
    if (!find_holder(&search) && !find_waiter(&search))
        return;
    struct touch touch = {.thread = guard.thread};
    struct finding finding;
    complete_use(&search.use);
    detect_destroy_while_in_use(&finding, &search.use, &touch, object);
    tell(&finding);
}

void tell_locks_at_end(void)
{
    const struct thread *thread = guard.thread;
    const struct thread_block *block = guard.block;
    for (uint32_t i = block == NULL ? 0 : THREAD_LOCKS; i-- > 0;) {
        const struct held_lock lock = block->locks[i];
        const void *address = (const void *)lock.address;
        if (lock.address == 0 || is_taken_away(address) || !held_lock_is_true(&lock, thread->tid) ||
            held_lock_is_robust(&lock))
            continue;
        struct lock_search search = {.address = lock.address, .size = 1};
        struct finding finding;
        if (!find_held(block, &search))
            continue;
        complete_use(&search.use);
        detect_lock_held_at_end(&finding, &search.use, arena_live(address));
        tell(&finding);
    }
}
