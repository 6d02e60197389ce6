/* Late thread events: at each destruction of a guarded object that another thread has used, that
 * thread is looked at, where it sleeps; at exit it is decided what is worth telling. What a sleeper
 * holds is read from its stack as it is: nobody is stopped.
 *
 * A pointer that is still there proves nothing: slots and registers keep what nobody will read
 * again, and atomics order two threads unseen. So a thread counts as about to come back to the
 * object only where it has come back to it before, between two sleeps; where it was asleep at the
 * destruction in a place where it slept in such a round, for a time and not until somebody wakes
 * it; where it has gone no round without the object since; and where it has a way to it that lasts.
 */
#include "event/event.h"
#include "event/internal.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/system.h"
#include "registry/held_lock.h"
#include "registry/order.h"
#include "registry/phase.h"
#include "registry/sleep.h"
#include "registry/static_symbols.h"
#include "registry/task.h"
#include "registry/use.h"

#include <errno.h>

/* What is kept of a destruction and a user, until exit. */
struct near {
    uintptr_t address;        /* of the object */
    uint64_t destroyer_ticks; /* of the destroyer's last use of the object by a lock in it, or 0 */
    struct use use;
    uint32_t object; /* its number */
    thread_reference thread;
    uint32_t now; /* kept stack: where it slept */
    enum late_way way;
    enum late_order order;
    struct use_rhythm rhythm;
    bool alive;
    bool asleep;  /* within a round */
    bool listens; /* it waited for a condition or a semaphore */
    bool ran;     /* it had a processor, or waited for one */
};

#define NEARS 256
static struct near nears[NEARS];
static uint32_t near_count, next_near;
static struct lock nears_lock;

/* Looks at threads: so many at once, and one more every so often. One takes some tens of
 * microseconds. */
enum { LOOKS = 256, LOOK_EVERY_MS = 10, LOOK_EVERY_MS_IN_SHUTDOWN = 1 };
static _Atomic uint32_t looks_left = LOOKS;
static _Atomic uint64_t looks_ticks;

static const struct options *options;

/* Uses that make a habit. */
enum { ROUNDS_LEAST = 2, USES_LEAST = 4 };

void late_threads_start(const struct options *given)
{
    options = given;
}

static bool may_look(void)
{
    uint64_t every = phase_is_shutdown() ? LOOK_EVERY_MS_IN_SHUTDOWN : LOOK_EVERY_MS;
    uint64_t now = clock_ticks(), before = atomic_load(&looks_ticks);
    uint64_t periods = clock_nanoseconds_between(before, now) / (every * 1000000);
    if (periods > 0 && atomic_compare_exchange_strong(&looks_ticks, &before, now)) {
        uint32_t left = atomic_load(&looks_left);
        atomic_store(&looks_left, periods > LOOKS - left ? LOOKS : left + (uint32_t)periods);
    }
    uint32_t left = atomic_load(&looks_left);
    return left > 0 && atomic_compare_exchange_strong(&looks_left, &left, left - 1);
}

static bool is_in(uint64_t word, const struct object *object)
{
    return word - object->address < object->size || word == object->address;
}

/* A word there points into the object. */
static bool points_to(uint64_t address, size_t size, const struct object *object)
{
    uint64_t word;
    for (size_t at = 0; at + sizeof word <= size; at += sizeof word) {
        if (!probe_word((const void *)(address + at), &word))
            return false;
        if (is_in(word, object))
            return true;
    }
    return false;
}

/* What a start argument points to has no known size outside of the arena; libstdc++'s holds a
 * vtable, the arguments and the function. */
#define ARGUMENT_SIZE ((size_t)64)
/* Of a live object that is pointed to so much is looked at, and of a library's data no more. */
#define POINTED_MOST ((size_t)4096)
#define STATIC_MOST ((size_t)16 << 20)

static bool object_points_to(const struct object *live, uint64_t from, const struct object *object)
{
    size_t size = live->address + live->size - from;
    return points_to(from, size < POINTED_MOST ? size : POINTED_MOST, object);
}

static enum late_way way_of_argument(const struct thread *thread, const struct object *object)
{
    uint64_t argument = (uint64_t)(uintptr_t)thread->argument;
    if (argument == 0 || argument % sizeof(void *) != 0)
        return LATE_WAY_NONE;
    if (is_in(argument, object))
        return LATE_WAY_ARGUMENT;
    const struct object *live = arena_live((const void *)argument);
    bool points = live != NULL ? object_points_to(live, argument, object)
                               : points_to(argument, ARGUMENT_SIZE, object);
    return points ? LATE_WAY_POINTED : LATE_WAY_NONE;
}

static enum late_way way_of_frames(const struct stack_held *held, const struct object *object)
{
    enum late_way way = LATE_WAY_NONE;
    for (size_t i = 0; i < held->count; i++) {
        const struct object *live = arena_live((const void *)held->words[i]);
        if (is_in(held->words[i], object))
            return LATE_WAY_FRAME;
        if (live != NULL && object_points_to(live, live->address, object))
            way = LATE_WAY_FRAME_POINTED;
    }
    return way;
}

static bool waits_for_lock(const struct thread_block *block)
{
    uint32_t what = block->wait.what;
    return what == WAIT_MUTEX || what == WAIT_RWLOCK;
}

/* The thread is asleep, as far as the kernel says before and after. */
static bool look(struct near *near, const struct thread *thread, const struct object *object)
{
    struct task_call call;
    struct stack stack;
    struct stack_held held = {.first = arena_first, .last = arena_last};
    const struct thread_block *block = thread->block;
    near->way = way_of_argument(thread, object);
    near->ran = !task_is_asleep(thread->tid);
    if (block == NULL || near->ran || !task_is_in_kernel(thread->tid, &call))
        return false;
    struct thread_sleep sleep = block->sleep;
    stack_hold(&held, &stack, &sleep, call.address, call.pointer);
    if (!task_is_still(thread->tid, &call) || block->sleep.count != sleep.count)
        return false;
    near->listens = block->wait.what == WAIT_CONDITION || block->wait.what == WAIT_SEMAPHORE;
    near->now = stack_keep_frames(stack.frames, stack.count);
    enum late_way way = way_of_frames(&held, object);
    if (near->way == LATE_WAY_NONE)
        near->way = way;
    return held.exact && task_call_has_end(&call) && !waits_for_lock(block) &&
           sleep.count - near->rhythm.waits <= near->rhythm.gap &&
           use_rhythm_has(&near->rhythm, sleep_place(sleep.address, sleep.slot));
}

/* A thread that is just about to sleep does so a moment later. */
static bool look_often(struct near *near, const struct thread *thread, const struct object *object)
{
    enum { TRIES = 3 };
    for (int tries = 0; tries < TRIES; tries++)
        if (look(near, thread, object))
            return true;
    return false;
}

/* What it was given at its start it need not have used. */
static bool has_habit(const struct near *near)
{
    if (near->use.sources == UINT32_C(1) << USE_ARGUMENT)
        return false;
    return near->rhythm.rounds >= ROUNDS_LEAST || near->use.count >= USES_LEAST;
}

/* It has come back between two pauses: twice, or once with many uses. */
static bool has_rhythm(const struct near *near)
{
    return near->rhythm.rounds >= ROUNDS_LEAST ||
           (near->rhythm.rounds > 0 && near->use.count >= USES_LEAST);
}

static bool has_lasting_way(const struct near *near)
{
    return near->way > LATE_WAY_FRAME_POINTED;
}

/* It may be back any moment. */
static bool is_about_to(const struct near *near)
{
    return near->alive && near->asleep && has_rhythm(near) && has_lasting_way(near);
}

/* Locks that the thread has released since its last use of the object, and conditions and
 * semaphores by which it told others: if the destroyer has had one of these, or was told by it, it
 * may know that the thread is done. When it had it is not known, so this errs towards order; so it
 * does where the thread has released more than are kept. Others may have stood between the two:
 * what was recorded of these is followed. Who takes a lock in the object and then destroys it may
 * be the last of those who leave it; or just its destructor. */
static enum late_order order_of(const struct near *near, const struct thread *thread,
                                const struct object *object)
{
    const struct thread_block *block = thread->block, *own = guard.block;
    if (!near->alive || block == NULL || own == NULL)
        return LATE_ORDER_UNKNOWN;
    uint32_t releases = block->releases, count = releases - near->rhythm.releases;
    for (uint32_t i = 1; i <= count && i <= THREAD_RELEASES; i++) {
        uintptr_t released = block->released[(releases - i) % THREAD_RELEASES];
        if (!is_in(released, object) && held_lock_was_taken(own, released))
            return LATE_ORDER_BEFORE;
    }
    if (count > THREAD_RELEASES ||
        (order_records &&
         order_between(near->thread, near->use.last_ticks, guard.thread->reference, clock_ticks(),
                       object->address, object->size) == ORDER_BEFORE))
        return LATE_ORDER_BEFORE;
    return near->destroyer_ticks > near->use.last_ticks ? LATE_ORDER_UNKNOWN : LATE_ORDER_NONE;
}

static const struct thread *thread_of(const struct near *near)
{
    return thread_of_reference(near->thread);
}

static uintptr_t entry_of(const struct near *near)
{
    const struct thread *thread = thread_of(near);
    return thread == NULL ? 0 : (uintptr_t)thread->entry;
}

/* The one that is told of two which tell the same: of the same thread function and birth site. */
static bool is_worse(const struct near *left, const struct near *right)
{
    bool one = is_about_to(left), other = is_about_to(right);
    if (one != other)
        return one;
    if ((left->order == LATE_ORDER_BEFORE) != (right->order == LATE_ORDER_BEFORE))
        return right->order == LATE_ORDER_BEFORE;
    if (left->alive != right->alive)
        return left->alive;
    return left->way > right->way;
}

static void keep(const struct near *near, const struct object *object)
{
    struct near *place = NULL;
    uintptr_t entry = entry_of(near);
    lock_take(&nears_lock);
    for (uint32_t i = 0; i < near_count && place == NULL; i++) {
        const struct object *other = object_of_number(nears[i].object);
        if (other != NULL && other->address == nears[i].address && other->site == object->site &&
            entry_of(&nears[i]) == entry)
            place = &nears[i];
    }
    if (place == NULL) {
        place = &nears[next_near];
        next_near = (next_near + 1) % NEARS;
        near_count += near_count < NEARS;
        *place = *near;
    } else if (!is_worse(place, near)) {
        *place = *near;
    }
    lock_release(&nears_lock);
}

/* What a lock has ordered is done, unless the thread is about to come back all the same, and looks
 * at nothing before that which others tell it. Who only waits to be told, as a worker that is idle,
 * may know that there is nothing left to do. */
static bool is_worth_keeping(const struct near *near)
{
    if (near->order == LATE_ORDER_BEFORE && near->alive)
        return near->asleep && !near->listens;
    if (near->listens && !near->asleep)
        return false;
    return true;
}

/* One user of an object that another thread has destroyed. */
static bool consider(const struct use *use, const struct object *object, uint64_t destroyer_ticks)
{
    const struct thread *thread = thread_of_reference(use->thread);
    struct near near = {.object = object->number,
                        .address = object->address,
                        .thread = use->thread,
                        .use = *use,
                        .destroyer_ticks = destroyer_ticks};
    if (thread == NULL || thread == guard.thread ||
        !use_rhythm_of(object, use->thread, &near.rhythm) || !has_habit(&near))
        return false;
    near.alive = thread->state == THREAD_RUNNING;
    if (!near.alive && thread->joined)
        return false;
    near.order = order_of(&near, thread, object);
    if (!near.alive && thread->detached)
        return false;
    if (near.alive && may_look())
        near.asleep = look_often(&near, thread, object);
    if (is_worth_keeping(&near))
        keep(&near, object);
    return near.alive;
}

/* What std::make_shared makes begins with a control block: its class is found, in stripped programs
 * too, by the vtable's word before the first, which leads to the type_info, and that one's second,
 * to the name (Itanium C++ ABI). */
static bool is_shared(const struct object *object)
{
    uint64_t type, name, words[8] = {0};
    if (object->first_word == 0 || object->first_word % sizeof type != 0 ||
        !probe_word((const void *)(uintptr_t)(object->first_word - sizeof type), &type) ||
        type % sizeof name != 0 ||
        !probe_word((const void *)(uintptr_t)(type + sizeof name), &name))
        return false;
    for (size_t i = 0; i + 1 < sizeof words / sizeof *words; i++)
        if (!probe_word((const void *)(uintptr_t)(name + i * sizeof *words), &words[i]))
            break;
    return text_find((const char *)words, "_Sp_counted_") != NULL ||
           text_find((const char *)words, "__shared_ptr_") != NULL;
}

void note_users(const struct object *object)
{
    struct use uses[OBJECT_USES];
    size_t count = use_users(object, uses, OBJECT_USES);
    if (count == 0 || is_shared(object))
        return;
    bool others = false;
    uint64_t destroyer_ticks = 0;
    for (size_t i = 0; i < count; i++)
        if (uses[i].thread == object->end_thread &&
            (uses[i].sources & UINT32_C(1) << USE_LOCK) != 0)
            destroyer_ticks = uses[i].last_ticks;
    for (size_t i = 0; i < count; i++)
        others =
            (uses[i].thread != object->end_thread && consider(&uses[i], object, destroyer_ticks)) ||
            others;
    if (others && options->stall > 0 && phase_is_shutdown())
        system_sleep_ms((long)options->stall);
}

/* The thread has gone on for more than a round since, and has not come to the object: else this
 * would have been seen. */
static bool went_on_without(const struct near *near)
{
    const struct thread *thread = thread_of(near);
    return thread != NULL && thread->state == THREAD_RUNNING && thread->block != NULL &&
           thread->block->sleep.count - near->rhythm.waits > near->rhythm.gap;
}

/* In the data of the library whose code uses the object. */
static bool static_points_to(uintptr_t code, const struct object *object)
{
    uintptr_t start, end;
    static_symbols_data(code, &start, &end);
    start = (start + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    return end > start && end - start <= STATIC_MOST && points_to(start, end - start, object);
}

/* Looked for at exit only, and only where all but the way is known. */
static void find_static_ways(void)
{
    for (uint32_t i = 0; i < near_count; i++) {
        struct near *near = &nears[i];
        const struct object *object = object_of_number(near->object);
        if ((near->asleep || near->ran) && near->way < LATE_WAY_STATIC && object != NULL &&
            object->address == near->address && static_points_to(near->use.caller, object))
            near->way = LATE_WAY_STATIC;
    }
}

static bool comes_back(const struct near *near)
{
    return is_about_to(near) && !went_on_without(near);
}

/* Worth a wait; one that ran may already be at it. */
static bool may_come(const struct near *near)
{
    const struct thread *thread = thread_of(near);
    bool runs =
        near->ran && near->order != LATE_ORDER_BEFORE && has_habit(near) && has_lasting_way(near);
    return thread != NULL && thread->state == THREAD_RUNNING && !went_on_without(near) &&
           (is_about_to(near) || runs);
}

static void linger(void)
{
    for (uint64_t ms = 0; ms < options->linger; ms++) {
        bool any = false;
        for (uint32_t i = 0; i < near_count; i++)
            any = any || may_come(&nears[i]);
        if (!any)
            return;
        system_sleep_ms(1);
    }
}

static void tell(const struct near *near, bool imminent)
{
    const struct object *object = object_of_number(near->object);
    const struct thread *thread = thread_of(near);
    if (object == NULL || object->address != near->address || thread == NULL)
        return;
    const struct late_thread late = {.thread = thread,
                                     .object = object,
                                     .use = near->use,
                                     .rounds = near->rhythm.rounds,
                                     .asleep = near->asleep,
                                     .ended = !near->alive,
                                     .way = near->way,
                                     .order = near->order,
                                     .now = near->now,
                                     .imminent = imminent};
    struct finding finding;
    report_prepare();
    if (thread->state == THREAD_RUNNING)
        thread_refresh_name((struct thread *)thread);
    detect_late_thread(&finding, &late);
    report_and_go_on(&finding);
}

/* It had ended, and nobody has ever waited for that, though somebody could have. */
static bool was_left(const struct near *near)
{
    const struct thread *thread = thread_of(near);
    return !near->alive && thread != NULL && thread->origin == THREAD_CREATED && !thread->joined &&
           !thread->detached && near->rhythm.rounds >= ROUNDS_LEAST;
}

void tell_late_threads(void)
{
    find_static_ways();
    linger();
    for (uint32_t i = 0; i < near_count; i++)
        if (comes_back(&nears[i]) && nears[i].order != LATE_ORDER_BEFORE)
            tell(&nears[i], true);
    for (uint32_t i = 0; i < near_count; i++)
        if (comes_back(&nears[i]) || was_left(&nears[i]) ||
            (nears[i].order == LATE_ORDER_NONE && !went_on_without(&nears[i])))
            tell(&nears[i], false);
}

void late_threads_prepare_fork(void)
{
    lock_before_fork(&nears_lock);
}

void late_threads_forked(bool child)
{
    lock_after_fork(&nears_lock, child);
    if (child)
        near_count = next_near = 0;
}
