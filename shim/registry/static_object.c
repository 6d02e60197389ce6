/* Static object: see static_object.h. */
#include "registry/static_object.h"

#include "base/memory.h"
#include "registry/static_symbols.h"

_Atomic uint64_t static_pages[STATIC_PAGES / 64];
_Atomic bool static_any_dead;

static struct lock objects_lock;
static struct static_object *objects; /* committed as they come */
static _Atomic uint32_t count;

struct static_object *static_object_new(uintptr_t address, size_t size)
{
    struct static_object *object = NULL;
    lock_take(&objects_lock);
    if (objects == NULL)
        objects = memory_map(STATIC_OBJECTS * sizeof *objects);
    uint32_t number = atomic_load(&count);
    if (objects != NULL && number < STATIC_OBJECTS) {
        object = &objects[number];
        object->number = number;
        object->address = address;
        object->size = size;
        atomic_store(&count, number + 1);
    }
    lock_release(&objects_lock);
    return object;
}

void static_object_publish(struct static_object *object)
{
    uintptr_t end = object->address + (object->size == 0 ? 1 : object->size);
    atomic_store(&object->state, STATIC_DEAD);
    for (uintptr_t at = object->address & ~(PAGE_SIZE - 1); at < end; at += PAGE_SIZE) {
        size_t page = static_page(at);
        atomic_fetch_or(&static_pages[page / 64], UINT64_C(1) << page % 64);
    }
    atomic_store(&static_any_dead, true);
}

struct static_object *static_object_of_number(uint32_t number)
{
    return number < atomic_load(&count) ? &objects[number] : NULL;
}

uint32_t static_objects(void)
{
    return atomic_load(&count);
}

/* Without a size only the very address is known to be the object's. */
struct static_object *static_object_find(uintptr_t address)
{
    if (!static_object_may_hold((const void *)address))
        return NULL;
    for (uint32_t number = atomic_load(&count); number-- > 0;) {
        struct static_object *object = &objects[number];
        if (address - object->address < (object->size == 0 ? 1 : object->size) &&
            atomic_load(&object->state) == STATIC_DEAD)
            return object;
    }
    return NULL;
}

void static_object_forget(struct static_object *object)
{
    atomic_store(&object->state, STATIC_GONE);
}

/* Its library is not loaded any more. */
static bool is_gone(uintptr_t address)
{
    uintptr_t start, end;
    static_symbols_data(address, &start, &end);
    return end == 0;
}

void static_objects_sweep(void)
{
    for (uint32_t number = atomic_load(&count); number-- > 0;)
        if (atomic_load(&objects[number].state) == STATIC_DEAD && is_gone(objects[number].address))
            static_object_forget(&objects[number]);
}

void static_object_prepare_fork(void)
{
    lock_before_fork(&objects_lock);
    static_symbols_prepare_fork();
}

void static_object_forked(bool child)
{
    static_symbols_forked(child);
    lock_after_fork(&objects_lock, child);
}
