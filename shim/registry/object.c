/* Object: see object.h. */
#include "registry/object.h"

#include "base/lock.h"
#include "base/memory.h"

#define OBJECTS_LEAST 4096 /* where addresses are few */

static struct lock objects_lock;
static struct object *objects;
static uint32_t records, next_number = 1;

const char *origin_name(enum origin origin)
{
    static const char *const names[] = {
        [ORIGIN_MALLOC] = "malloc",
        [ORIGIN_CALLOC] = "calloc",
        [ORIGIN_REALLOC] = "realloc",
        [ORIGIN_ALIGNED] = "aligned allocation",
        [ORIGIN_NEW] = "operator new",
        [ORIGIN_NEW_ARRAY] = "operator new[]",
        [ORIGIN_FREE] = "free",
        [ORIGIN_DELETE] = "operator delete",
        [ORIGIN_DELETE_ARRAY] = "operator delete[]",
    };
    return names[origin];
}

bool object_start(void)
{
    size_t size = OBJECTS * sizeof *objects;
    objects = memory_map_sparse(&size, OBJECTS_LEAST * sizeof *objects);
    records = (uint32_t)(size / sizeof *objects);
    return objects != NULL;
}

struct object *object_new(void)
{
    struct object *found = NULL;
    lock_take(&objects_lock);
    for (uint32_t tries = 0; tries < 4096 && found == NULL; tries++) {
        uint32_t number = next_number;
        next_number = next_number + 1 == records ? 1 : next_number + 1;
        struct object *object = &objects[number];
        uint32_t state = atomic_load(&object->state);
        if (state == OBJECT_LIVE || state == OBJECT_DYING)
            continue;
        __builtin_memset(object, 0, sizeof *object);
        object->number = number;
        found = object;
    }
    lock_release(&objects_lock);
    return found;
}

struct object *object_of_number(uint32_t number)
{
    return objects == NULL || number == 0 || number >= records ? NULL : &objects[number];
}

void object_prepare_fork(void)
{
    lock_before_fork(&objects_lock);
}

void object_forked(bool child)
{
    lock_after_fork(&objects_lock, child);
}
