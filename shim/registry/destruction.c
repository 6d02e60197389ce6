/* Destruction: see destruction.h. */
#include "registry/destruction.h"

#include "base/clock.h"

enum { FREE, FILLING, RUNNING };
#define MOST 64

_Atomic uint32_t destructions_running;
static struct destruction table[MOST];

static thread_reference self(void)
{
    return guard.thread == NULL ? 0 : guard.thread->reference;
}

static bool is_mine(struct destruction *destruction)
{
    return atomic_load_explicit(&destruction->state, memory_order_acquire) == RUNNING &&
           destruction->by == self();
}

void destruction_end(struct destruction *destruction)
{
    atomic_store(&destruction->state, FREE);
    atomic_fetch_sub(&destructions_running, 1);
}

bool destruction_is_nested(const struct object *object, uintptr_t slot)
{
    bool nested = false;
    if (!destruction_any())
        return false;
    for (size_t i = 0; i < MOST; i++) {
        if (!is_mine(&table[i]))
            continue;
        if (table[i].slot <= slot) /* the stack is above it: it was left without its end */
            destruction_end(&table[i]);
        else if (table[i].object == object->number)
            nested = true;
    }
    return nested;
}

bool destruction_begin(const struct object *object, uintptr_t function, struct caller caller)
{
    for (size_t i = 0; i < MOST; i++) {
        uint32_t free = FREE;
        if (!atomic_compare_exchange_strong(&table[i].state, &free, FILLING))
            continue;
        struct destruction *new = &table[i];
        new->by = self();
        new->object = object->number;
        new->start = object->address;
        new->end = object->address + object->size;
        new->slot = caller.slot;
        new->function = function;
        new->stack = stack_keep(caller);
        new->ticks = clock_ticks();
        atomic_store(&new->touched, 0);
        atomic_fetch_add(&destructions_running, 1);
        atomic_store_explicit(&new->state, RUNNING, memory_order_release);
        return true;
    }
    return false;
}

struct destruction *destruction_at(uintptr_t slot)
{
    for (size_t i = 0; destruction_any() && i < MOST; i++)
        if (is_mine(&table[i]) && table[i].slot == slot)
            return &table[i];
    return NULL;
}

struct destruction *destruction_of(const void *address)
{
    for (size_t i = 0; i < MOST; i++)
        if (atomic_load_explicit(&table[i].state, memory_order_acquire) == RUNNING &&
            (uintptr_t)address - table[i].start < table[i].end - table[i].start &&
            table[i].by != self())
            return &table[i];
    return NULL;
}

enum { NO_TOUCH, TOUCH_FILLING, TOUCHED };

void destruction_note_touch(struct destruction *destruction, const char *function,
                            struct caller caller)
{
    uint32_t none = NO_TOUCH;
    if (!atomic_compare_exchange_strong(&destruction->touched, &none, TOUCH_FILLING))
        return;
    destruction->touch =
        (struct destruction_touch){self(), stack_keep(caller), clock_ticks(), function};
    atomic_store_explicit(&destruction->touched, TOUCHED, memory_order_release);
}

void destruction_synchronised_slow(void)
{
    for (size_t i = 0; i < MOST; i++)
        if (is_mine(&table[i])) {
            uint32_t touched = TOUCHED;
            (void)atomic_compare_exchange_strong(&table[i].touched, &touched, NO_TOUCH);
        }
}

void destruction_forked(void)
{
    for (size_t i = 0; i < MOST; i++)
        if (atomic_load(&table[i].state) != FREE && !is_mine(&table[i]))
            destruction_end(&table[i]);
}
