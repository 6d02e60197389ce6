/* Destruction events: destructors, and what other threads do meanwhile. */
#include "event/event.h"
#include "event/internal.h"

#include "base/probe.h"
#include "registry/use.h"

uint32_t event_destructors_seen, event_members_watched;

/* The destructor is the innermost frame; its caller follows. */
static void capture_entry(struct touch *touch, uintptr_t function, const void *self,
                          struct caller caller)
{
    report_prepare();
    *touch = (struct touch){
        .thread = thread_current(), .access = ACCESS_DESTROY, .address = (uintptr_t)self};
    if (touch->thread != NULL && touch->thread->tid != 0)
        thread_refresh_name((struct thread *)touch->thread);
    touch->stack.count =
        1 + (uint32_t)stack_frames(caller, touch->stack.frames + 1, STACK_FRAMES - 1);
    touch->stack.frames[0] = function;
    touch->stack.first_is_exact = true;
}

static void tell_double(uintptr_t function, void *self, struct caller caller, struct object *object,
                        const struct block *block)
{
    struct touch touch;
    struct finding finding;
    capture_entry(&touch, function, self, caller);
    detect_double_destruction(&finding, &touch, object, block);
    finding.can_continue = object == NULL || arena_keeps_content();
    report_and_go_on(&finding);
    if (object != NULL)
        (void)arena_reopen(object);
}

static void tell_wild(uintptr_t function, void *self, struct caller caller)
{
    struct touch touch;
    capture_entry(&touch, function, self, caller);
    if (poison_looks_like(touch.address) && report_poison(&touch, touch.address)) {
        report_prepared();
        return;
    }
    struct finding finding;
    detect_wild_destructor(&finding, &touch);
    report_and_go_on(&finding);
}

unsigned event_address_bits = 56;

/* Address 0 and its page fault by themselves. */
static bool is_wild(const void *self)
{
    return (uintptr_t)self >> event_address_bits != 0;
}

/* A second destructor on a dead static object that nothing was made in since. */
static bool destroy_static(uintptr_t function, void *self, struct caller caller)
{
    struct static_object *object = static_untouched(self);
    if (object == NULL || object->poisoned == 0 || (uintptr_t)self != object->address ||
        static_may_be_new(object))
        return false;
    struct touch touch;
    struct finding finding;
    capture_entry(&touch, function, self, caller);
    detect_static_destroyed_twice(&finding, &touch, object);
    report_and_go_on(&finding);
    static_object_forget(object);
    return true;
}

/* A freed block that begins where the object began. Inside one an object may lie that the program
 * makes in place: only the start, where a vtable or the first member was, is asked. */
static const struct block *dead_block(const void *self)
{
    uint64_t word;
    if ((uintptr_t)self % 8 != 0 || (uintptr_t)self < 65536 || !probe_word(self, &word) ||
        word >> 56 != POISON_FREED)
        return NULL;
    return quarantine_at(self);
}

static void destroy_guarded(uintptr_t function, void *self, struct caller caller)
{
    struct object *object = arena_object(self);
    uint32_t state = object == NULL ? OBJECT_DEAD : atomic_load(&object->state);
    if (state == OBJECT_DEAD && !(object != NULL && atomic_load(&object->opened)))
        tell_double(function, self, caller, object, NULL);
    /* Of members and elements nothing is kept: their size is not known. */
    if (state != OBJECT_LIVE || (uintptr_t)self != object->address)
        return;
    (void)thread_current();
    (void)destruction_begin(object, function, caller);
}

void event_destructor_entered(uintptr_t function, void *self, struct caller caller)
{
    if (!event_heap_watched || !guard_enter())
        return;
    const struct block *block;
    note_destructor(function, (uintptr_t)self);
    if (arena_contains(self))
        destroy_guarded(function, self, caller);
    else if (is_wild(self))
        tell_wild(function, self, caller);
    else if ((block = dead_block(self)) != NULL)
        tell_double(function, self, caller, NULL, block);
    else if (static_object_may_hold(self))
        (void)destroy_static(function, self, caller);
    guard_leave();
}

static void tell_member(uintptr_t function, bool has_this, void *self, struct caller caller,
                        struct object *object, const struct block *block)
{
    struct touch touch;
    struct finding finding;
    capture_entry(&touch, function, self, caller);
    touch.access = ACCESS_MEMBER;
    if (block != NULL)
        detect_freed_block(&finding, &touch, block, 0);
    else
        detect_dead_object(&finding, &touch, object);
    finding.can_continue = block != NULL || arena_keeps_content();
    if (!has_this)
        finding.grade = POSSIBLE;
    report_and_go_on(&finding);
    if (has_this && object != NULL)
        (void)arena_reopen(object);
}

void event_member_entered(uintptr_t function, bool has_this, void *self, struct caller caller)
{
    if (!guard_enter())
        return;
    (void)thread_current();
    touch_member(function, self, caller);
    const struct block *block;
    if (event_heap_watched && arena_contains(self)) {
        struct object *object = arena_object(self);
        uint32_t state = object == NULL ? OBJECT_DEAD : atomic_load(&object->state);
        if (state == OBJECT_LIVE) {
            atomic_store(&object->touched, true);
            use_note(object, USE_MEMBER, NULL, caller);
        }
        /* Without `this` for certain, the access itself will tell. */
        else if (state == OBJECT_DEAD && has_this && object != NULL &&
                 !atomic_load(&object->opened))
            tell_member(function, true, self, caller, object, NULL);
    } else if (event_heap_watched && !is_wild(self) && (block = dead_block(self)) != NULL) {
        tell_member(function, has_this, self, caller, NULL, block);
    }
    guard_leave();
}

struct thread_touch *event_touch_begin(const void *address, bool is_mutex, const char *function,
                                       struct caller caller)
{
    struct thread_touch *touch = NULL;
    struct object *object = arena_live(address);
    if (object == NULL || !guard_enter())
        return NULL;
    (void)thread_current();
    touch = touch_begin(object, address, is_mutex, function, caller);
    guard_leave();
    return touch;
}

static bool is_on(const struct stack *stack, uintptr_t address)
{
    for (uint32_t i = 0; i < stack->count; i++)
        if (stack->frames[i] == address)
            return true;
    return false;
}

static void tell_touch(const struct thread *thread, struct object *object,
                       const struct thread_touch *touch, const struct thread_member *member,
                       const struct stack *stack)
{
    struct finding finding;
    report_prepare();
    thread_refresh_name((struct thread *)thread);
    detect_touch_during_destruction(&finding, thread, object, touch, member, stack);
    report_and_go_on(&finding);
}

/* What a thread has noted is not certain: a call may have been left by a cancellation or a longjmp.
 * So its stack is looked at, and again where the thread has gone on meanwhile, or was too busy to
 * answer. */
static bool is_still(const struct thread *thread, const struct object *object,
                     struct thread_touch *touch, const struct thread_touch *noted,
                     struct stack *stack)
{
    for (int tries = 0; tries < 8; tries++) {
        *touch = *noted;
        /* The object's number may have been another's, and the memory be gone. */
        if (touch->address - object->address >= object->size)
            return false;
        bool holds = touch_holds(thread, touch);
        if (!holds && !touch->inside)
            return false;
        bool known = report_sample(thread->tid, stack);
        if (!known)
            stack->count = 0;
        bool inside = touch->inside && is_on(stack, touch->caller);
        if (inside || (holds && touch_holds(thread, touch))) {
            touch->inside = inside;
            return true;
        }
        if (known && noted->ticks == touch->ticks)
            return false;
    }
    return false;
}

static bool ask_thread(const struct thread *thread, struct object *object)
{
    struct stack stack;
    struct thread_touch touch;
    for (size_t i = 0; i < THREAD_TOUCHES; i++)
        if (thread->touches[i].object == object->number &&
            is_still(thread, object, &touch, &thread->touches[i], &stack)) {
            tell_touch(thread, object, &touch, NULL, stack.count > 0 ? &stack : NULL);
            return true;
        }
    struct thread_member members[THREAD_MEMBERS];
    size_t count = touch_members(thread, members);
    for (size_t i = 0; i < count; i++)
        if (members[i].self - object->address < object->size &&
            report_sample(thread->tid, &stack) && is_on(&stack, members[i].address)) {
            tell_touch(thread, object, NULL, &members[i], &stack);
            return true;
        }
    return false;
}

void tell_touches(struct object *object)
{
    if (guard.thread != NULL && guard.thread->destroys == object->number)
        destruction_end();
    if (__builtin_expect(!atomic_load(&object->touched), 1))
        return;
    bool told = false;
    for (uint32_t slot = 0; object->destructor != 0 && slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        if (thread != guard.thread && thread->state == THREAD_RUNNING)
            told = ask_thread(thread, object) || told;
    }
    if (!told)
        tell_lock_users(object);
}

bool (*event_look_at_libraries)(struct thread_block *block, struct caller caller);

void event_loading(struct caller caller)
{
    if (event_look_at_libraries == NULL || !guard_enter())
        return;
    (void)thread_current();
    struct thread_block *block = guard.block;
    if (block != NULL) {
        block->loading_slot = caller.slot;
        block->loading_return = caller.address;
        event_next_is_slow(block);
    }
    guard_leave();
}
