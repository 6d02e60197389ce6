/* Destruction events: destructors, and what other threads do meanwhile. */
#include "event/event.h"
#include "event/internal.h"

#include "base/probe.h"

uint32_t event_destructors_seen;

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

static void tell(struct finding *finding)
{
    report_or_stop(finding);
    report_prepared();
}

static void tell_double(uintptr_t function, void *self, struct caller caller, struct object *object,
                        const struct block *block)
{
    struct touch touch;
    struct finding finding;
    capture_entry(&touch, function, self, caller);
    detect_double_destruction(&finding, &touch, object, block);
    finding.can_continue = object == NULL || arena_keeps_content();
    tell(&finding);
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
    tell(&finding);
}

/* Processors with 57-bit addresses take what has nothing above bit 55 (Intel SDM volume 1,
 * 3.3.7.1); address 0 and its page fault by themselves. */
static bool is_wild(const void *self)
{
    return (uintptr_t)self >> 56 != 0;
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

static bool destroy_guarded(uintptr_t function, void *self, struct caller caller)
{
    struct object *object = arena_object(self);
    uint32_t state = object == NULL ? OBJECT_DEAD : atomic_load(&object->state);
    if (state == OBJECT_DEAD && !(object != NULL && atomic_load(&object->opened)))
        tell_double(function, self, caller, object, NULL);
    if (state != OBJECT_LIVE)
        return false;
    (void)thread_current();
    if (destruction_is_nested(object, caller.slot))
        return false;
    if ((uintptr_t)self == object->address)
        object->destructor = function;
    return destruction_begin(object, function, caller);
}

bool event_destructor_entered(uintptr_t function, void *self, struct caller caller)
{
    bool follow = false;
    const struct block *block = NULL;
    bool guarded = arena_contains(self), wild = is_wild(self);
    if (__builtin_expect(!guarded && !wild, 1)) {
        if (!guard_active || guard.inside != 0)
            return false;
        block = dead_block(self);
        if (__builtin_expect(block == NULL, 1))
            return false;
    }
    if (!event_heap_watched || !guard_enter())
        return false;
    if (guarded)
        follow = destroy_guarded(function, self, caller);
    else if (wild)
        tell_wild(function, self, caller);
    else
        tell_double(function, self, caller, NULL, block);
    guard_leave();
    return follow;
}

void event_destructor_left(uintptr_t slot)
{
    if (!guard_enter())
        return;
    struct destruction *running = destruction_at(slot);
    if (running != NULL) {
        struct destruction ended = *running;
        destruction_end(running);
        const struct thread *other = thread_of_reference(ended.touch.thread);
        struct object *object = object_of_number(ended.object);
        if (atomic_load(&ended.touched) != 0 && other != NULL && !other->joined && object != NULL &&
            object->address == ended.start) {
            struct finding finding;
            report_prepare();
            detect_touch_during_destruction(&finding, &ended, object);
            tell(&finding);
        }
    }
    guard_leave();
}

void event_touch_slow(const void *address, const char *function, struct caller caller)
{
    if (!guard_enter())
        return;
    (void)thread_current();
    struct destruction *destruction = destruction_of(address);
    if (destruction != NULL)
        destruction_note_touch(destruction, function, caller);
    guard_leave();
}
