/* Annotated object: see annotated_object.h. */
#include "registry/annotated_object.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/text.h"

/* Parts of the table, each with a lock of its own: objects of a pool are told by many threads. */
#define SHARDS 64
#define SHARD_OBJECTS 1024
#define SHARD_CHAINS 256

struct shard {
    struct lock lock;
    _Atomic uint32_t used;                 /* places, from the first on */
    uint32_t hand;                         /* where the search for a dead object's place goes on */
    _Atomic uint64_t missed;               /* ticks of the last birth that could not be told */
    _Atomic uint32_t chains[SHARD_CHAINS]; /* place + 1; 0: none */
    struct annotated_object objects[SHARD_OBJECTS];
};

static struct shard *shards;

bool annotated_object_start(void)
{
    if (shards == NULL)
        shards = memory_map(SHARDS * sizeof *shards);
    return shards != NULL;
}

static uint64_t hash(uintptr_t address)
{
    return (uint64_t)address * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(uintptr_t address)
{
    return shards == NULL ? NULL : &shards[hash(address) >> 58];
}

static _Atomic uint32_t *chain_of(struct shard *shard, uintptr_t address)
{
    return &shard->chains[(hash(address) >> 50) % SHARD_CHAINS];
}

/* Without the lock a chain may lead into another one, where a place is used anew: then it seems
 * that nothing is known. */
static struct annotated_object *find(struct shard *shard, uintptr_t address)
{
    uint32_t place = atomic_load(chain_of(shard, address));
    for (uint32_t steps = 0; place != 0 && steps < SHARD_OBJECTS; steps++) {
        struct annotated_object *object = &shard->objects[place - 1];
        if (atomic_load(&object->address) == address)
            return object;
        place = atomic_load(&object->next);
    }
    return NULL;
}

static void unlink(struct shard *shard, struct annotated_object *object)
{
    uint32_t place = (uint32_t)(object - shard->objects) + 1;
    _Atomic uint32_t *link = chain_of(shard, object->address);
    while (*link != place)
        link = &shard->objects[*link - 1].next;
    atomic_store(link, object->next);
    atomic_store(&object->address, 0);
}

static struct annotated_object *dead_place(struct shard *shard)
{
    for (uint32_t i = 0; i < SHARD_OBJECTS; i++) {
        struct annotated_object *object = &shard->objects[shard->hand];
        shard->hand = (shard->hand + 1) % SHARD_OBJECTS;
        if (object->lives == 0) {
            unlink(shard, object);
            return object;
        }
    }
    return NULL;
}

static struct annotated_object *add(struct shard *shard, uintptr_t address)
{
    struct annotated_object *object =
        shard->used < SHARD_OBJECTS ? &shard->objects[shard->used++] : dead_place(shard);
    if (object == NULL)
        return NULL;
    _Atomic uint32_t *chain = chain_of(shard, address);
    atomic_store(&object->lives, 0);
    atomic_store(&object->next, *chain);
    atomic_store(&object->address, address);
    atomic_store(chain, (uint32_t)(object - shard->objects) + 1);
    return object;
}

static thread_reference this_thread(void)
{
    return guard.thread == NULL ? 0 : guard.thread->reference;
}

void annotation_copy_name(char copy[ANNOTATION_NAME_SIZE], const char *name)
{
    size_t length = 0;
    for (; name != NULL && name[length] != '\0' && length < ANNOTATION_NAME_SIZE - 1; length++) {
        unsigned char c = (unsigned char)name[length];
        copy[length] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    __builtin_memset(copy + length, 0, ANNOTATION_NAME_SIZE - length);
}

/* No object holds another one of its size and its name where it begins: the death of the one before
 * was not told. */
static bool is_next_life(const struct annotated_object *object, size_t size, const char *name)
{
    return object->lives == 0 || (object->size == size && text_equal(object->name, name));
}

bool annotated_object_born(uintptr_t address, size_t size, const char *name, struct caller caller)
{
    struct shard *shard = shard_of(address);
    char given[ANNOTATION_NAME_SIZE];
    annotation_copy_name(given, name);
    uint32_t stack = stack_keep(caller);
    if (shard == NULL)
        return true;
    lock_take(&shard->lock);
    struct annotated_object *object = find(shard, address);
    if (object == NULL)
        object = add(shard, address);
    bool known = object != NULL;
    if (known && is_next_life(object, size, given)) {
        object->size = size;
        __builtin_memcpy(object->name, given, sizeof given);
        object->birth_thread = this_thread();
        object->birth_stack = stack;
        object->birth_ticks = clock_ticks();
        atomic_store(&object->lives, 1);
    } else if (known) {
        atomic_fetch_add(&object->lives, 1);
    }
    lock_release(&shard->lock);
    return known;
}

bool annotated_object_died(uintptr_t address, struct caller caller, struct annotated_object *copy)
{
    struct shard *shard = shard_of(address);
    uint32_t stack = stack_keep(caller);
    bool ended = false;
    if (shard == NULL)
        return false;
    lock_take(&shard->lock);
    struct annotated_object *object = find(shard, address);
    if (object != NULL && object->lives == 1) {
        object->end_thread = this_thread();
        object->end_stack = stack;
        object->end_ticks = clock_ticks();
        atomic_store(&object->lives, 0);
        *copy = *object;
        ended = true;
    } else if (object != NULL && object->lives > 1) {
        atomic_fetch_sub(&object->lives, 1);
    }
    lock_release(&shard->lock);
    return ended;
}

void annotated_object_missed(uintptr_t address)
{
    struct shard *shard = shard_of(address);
    if (shard != NULL)
        atomic_store(&shard->missed, clock_ticks());
}

bool annotated_object_at(uintptr_t address, struct annotated_object *copy)
{
    struct shard *shard = address == 0 ? NULL : shard_of(address);
    const struct annotated_object *object = shard == NULL ? NULL : find(shard, address);
    if (object == NULL)
        return false;
    *copy = *object;
    return copy->address == address;
}

bool annotated_object_around(uintptr_t first, size_t size, uintptr_t at,
                             struct annotated_object *copy)
{
    bool found = false;
    for (size_t i = 0; shards != NULL && i < SHARDS; i++)
        for (uint32_t j = 0; j < atomic_load(&shards[i].used); j++) {
            const struct annotated_object *object = &shards[i].objects[j];
            uintptr_t address = atomic_load(&object->address);
            if (address == 0 || address - first >= size || at - address >= object->size ||
                (found && object->size >= copy->size))
                continue;
            *copy = *object;
            found = true;
        }
    return found;
}

bool annotated_object_seems_dead(uintptr_t address)
{
    struct shard *shard = shard_of(address);
    const struct annotated_object *object = shard == NULL ? NULL : find(shard, address);
    return object != NULL && atomic_load(&object->lives) == 0;
}

bool annotated_object_is_dead(uintptr_t address, struct annotated_object *copy)
{
    struct shard *shard = shard_of(address);
    if (shard == NULL)
        return false;
    lock_take(&shard->lock);
    const struct annotated_object *object = find(shard, address);
    bool dead = object != NULL && object->lives == 0 && object->end_ticks > shard->missed;
    if (dead)
        *copy = *object;
    lock_release(&shard->lock);
    return dead;
}

void annotated_object_prepare_fork(void)
{
    for (size_t i = 0; shards != NULL && i < SHARDS; i++)
        lock_before_fork(&shards[i].lock);
}

void annotated_object_forked(bool child)
{
    for (size_t i = SHARDS; shards != NULL && i-- > 0;)
        lock_after_fork(&shards[i].lock, child);
}
