/* Static events: exit handlers, and the ends of static objects that they are. */
#include "event/event.h"
#include "event/internal.h"

#include "base/clock.h"
#include "heap/static_poison.h"
#include "registry/nulled.h"
#include "registry/phase.h"
#include "registry/static_symbols.h"

struct exit_handler *event_exit_registered(uintptr_t function, uintptr_t argument,
                                           uintptr_t library, struct caller caller)
{
    bool inside = guard_enter(), unwinds = inside && !is_allocators(caller.address);
    if (inside)
        (void)thread_current();
    struct exit_handler *handler = exit_handler_new(function, argument, library);
    if (handler != NULL)
        handler->stack = unwinds ? stack_keep(caller) : stack_keep_frames(&caller.address, 1);
    /* Constructed anew, as singletons are that are needed once more. */
    struct static_object *before = argument == 0 ? NULL : static_object_find(argument);
    if (before != NULL)
        static_object_forget(before);
    if (inside)
        guard_leave();
    return handler;
}

void event_exit_dropped(struct exit_handler *handler)
{
    exit_handler_drop(handler);
}

bool event_sees_all_destructors;

/* Arrays are destroyed by a function of the compiler's that is not told of them. Which it was shows
 * by the destructors of its elements: the lowest in the library's data is its first element. One at
 * a time: another thread that exits as well is left out. */
static struct {
    thread_reference by; /* 0: none */
    uintptr_t start, end, first, destructor;
} array;

/* An address in its library. Programs at a fixed address have no handle (gcc's crtstuff.c). */
static uintptr_t library_of(const struct exit_handler *handler)
{
    return handler->library != 0 ? handler->library : handler->function;
}

static void begin_array(struct exit_handler *handler)
{
    if (handler->argument != 0 || static_symbols_of(handler) != EXIT_FUNCTION_ARRAY)
        return;
    array.by = guard.thread == NULL ? 0 : guard.thread->reference;
    array.first = UINTPTR_MAX;
    static_symbols_data(library_of(handler), &array.start, &array.end);
    event_sees_all_destructors = true;
}

/* What a library's own cleanup takes away, it does not destroy: it sets its pointers to null. */
static void begin_plain(const struct exit_handler *handler)
{
    uintptr_t start, end;
    if (handler->argument != 0 || handler->sort == EXIT_FUNCTION_ARRAY)
        return;
    static_symbols_data(library_of(handler), &start, &end);
    nulled_begin(handler, start, end);
}

void note_destructor(uintptr_t function, uintptr_t self)
{
    if (!event_sees_all_destructors || guard.thread == NULL ||
        array.by != guard.thread->reference || self < array.start || self >= array.end ||
        self >= array.first)
        return;
    array.first = self;
    array.destructor = function;
}

void event_exit_handler_begins(struct exit_handler *handler, bool unloading, struct caller caller)
{
    if (!unloading)
        event_shutdown("exit");
    if (!guard_enter())
        return;
    (void)thread_current();
    exit_handler_begin(handler, caller);
    if (!unloading) {
        begin_array(handler);
        begin_plain(handler);
    }
    guard_leave();
}

/* Its frames begin with the destructor, which has just returned. */
static uint32_t keep_end(uintptr_t function, struct caller caller)
{
    uintptr_t frames[STACK_FRAMES];
    frames[0] = function + 1; /* as return addresses are named */
    return stack_keep_frames(frames, 1 + stack_frames(caller, frames + 1, STACK_FRAMES - 1));
}

static void bury(const struct exit_handler *handler, uintptr_t destructor, uintptr_t address,
                 size_t size, bool by_symbol, struct caller caller)
{
    struct static_object *object = static_object_new(address, size);
    if (object == NULL)
        return;
    object->by_symbol = by_symbol;
    object->destructor = destructor;
    object->birth_thread = handler->registrant;
    object->birth_stack = handler->stack;
    object->birth_ticks = handler->registered;
    object->end_thread = guard.thread == NULL ? 0 : guard.thread->reference;
    object->end_stack = keep_end(handler->function, caller);
    object->end_ticks = handler->ended;
    static_object_publish(object);
    static_poison_bury(object);
}

static void end_array(const struct exit_handler *handler, struct caller caller)
{
    uintptr_t start;
    size_t size;
    if (array.by == 0 || guard.thread == NULL || array.by != guard.thread->reference)
        return;
    array.by = 0;
    event_sees_all_destructors = false;
    if (array.first != UINTPTR_MAX && static_symbols_around(array.first, &start, &size) &&
        start == array.first)
        bury(handler, array.destructor, start, size, true, caller);
}

static void end_object(struct exit_handler *handler, struct caller caller)
{
    if (handler->sort == EXIT_FUNCTION_ARRAY)
        end_array(handler, caller);
    if (handler->argument == 0 || exit_handler_has_twin(handler))
        return;
    enum exit_function sort = static_symbols_of(handler);
    if (sort == EXIT_FUNCTION_DESTRUCTOR)
        bury(handler, handler->function, handler->argument, handler->size, true, caller);
    else if (sort == EXIT_FUNCTION_STRIPPED)
        bury(handler, handler->function, handler->argument, 0, false, caller);
}

void event_exit_handler_ended(struct exit_handler *handler, bool unloading, struct caller caller)
{
    if (guard_enter()) {
        exit_handler_end(handler);
        nulled_end(handler);
        if (!unloading)
            end_object(handler, caller);
        guard_leave();
    }
    if (unloading)
        exit_handler_drop(handler);
}

/* A singleton that is needed after its end is often made anew in the same place, which is legal.
 * Its members overwrite poison; where there was none, it has at least registered its new end. */
bool static_may_be_new(const struct static_object *object)
{
    return exit_handler_last_registration() > object->end_ticks;
}

static bool is_plain_store(const struct touch *touch)
{
    return touch->access == ACCESS_WRITE && !touch->modifies;
}

/* Of a pointer it is the poison that tells, of an access to a whole page the trap, of all others
 * the poison that stands: a new object in the same place would have changed these. */
static bool is_certain(const struct touch *touch, const struct static_object *object,
                       bool by_pointer)
{
    if (by_pointer) /* one that a new object did not set, else */
        return atomic_load(&object->state) == STATIC_DEAD;
    if (!object->by_symbol || is_plain_store(touch))
        return false;
    if (object->poisoned > 0 || object->protected_size > 0)
        return true;
    bool itself = touch->thread != NULL && touch->thread->reference == object->end_thread;
    return !itself && !static_may_be_new(object);
}

void tell_static(const struct touch *touch, struct static_object *object, uint64_t offset,
                 bool by_pointer)
{
    struct finding finding;
    detect_static_object(&finding, touch, object, offset, by_pointer);
    if (!is_certain(touch, object, by_pointer))
        finding.grade = POSSIBLE;
    report_or_stop(&finding);
}

struct static_object *static_untouched(const void *address)
{
    struct static_object *object = static_object_find((uintptr_t)address);
    if (object == NULL || static_poison_stands(object))
        return object;
    static_object_forget(object);
    return NULL;
}

/* The dead object whose pages were taken away there, whether or not they were given back. */
static struct static_object *protected_at(uintptr_t address)
{
    for (uint32_t number = static_objects(); number-- > 0;) {
        struct static_object *object = static_object_of_number(number);
        if (address - object->protected < object->protected_size &&
            atomic_load(&object->state) != STATIC_UNUSED)
            return object;
    }
    return NULL;
}

bool fault_in_static(const struct touch *touch)
{
    struct static_object *object = protected_at(touch->address);
    if (object == NULL)
        return false;
    if (atomic_load(&object->state) == STATIC_DEAD) {
        if (touch->access == ACCESS_READ && !touch->modifies &&
            static_poison_read(object, touch->address))
            return true; /* `alive` flags are read on purpose */
        bool itself = touch->thread != NULL && touch->thread->reference == object->end_thread;
        /* A store by the thread that goes through the exit handlers makes the object anew. */
        if (!itself || !is_plain_store(touch))
            tell_static(touch, object, touch->address - object->address, false);
        /* From here on what is written there is not known to be dead. */
        static_object_forget(object);
    }
    return static_poison_reopen(object);
}
