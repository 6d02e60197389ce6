/* Sizes: see sizes.h. Called by capture/sized_allocator.c and new_hooks.c. */
#include "heap/sizes.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>

#define WAYS 8 /* entries of one set: two cache lines */
#define SETS_MOST ((size_t)1 << 20)
#define SETS_LEAST ((size_t)1 << 12)

struct size_entry {
    _Atomic uintptr_t address;
    _Atomic size_t size;
};

static struct size_entry *entries;
static size_t sets;

bool sizes_start(void)
{
    size_t bytes = SETS_MOST * WAYS * sizeof *entries;
    if (entries != NULL)
        return true;
    entries = memory_map_sparse(&bytes, SETS_LEAST * WAYS * sizeof *entries);
    if (entries == NULL)
        return false;
    for (sets = SETS_LEAST; sets * 2 * WAYS * sizeof *entries <= bytes;)
        sets *= 2;
    return true;
}

static struct size_entry *set_of(const void *address)
{
    uint64_t mixed = ((uintptr_t)address >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    return &entries[(mixed >> 32 & (sets - 1)) * WAYS];
}

static struct size_entry *find(const void *address)
{
    struct size_entry *set = set_of(address);
    for (size_t i = 0; i < WAYS; i++)
        if (atomic_load_explicit(&set[i].address, memory_order_relaxed) == (uintptr_t)address)
            return &set[i];
    return NULL;
}

void sizes_set(const void *address, size_t size)
{
    struct size_entry *entry = find(address), *set = set_of(address);
    for (size_t i = 0; i < WAYS && entry == NULL; i++) {
        uintptr_t empty = 0;
        if (atomic_compare_exchange_strong(&set[i].address, &empty, (uintptr_t)address))
            entry = &set[i];
    }
    if (entry != NULL)
        atomic_store_explicit(&entry->size, size, memory_order_relaxed);
}

size_t sizes_of(const void *address)
{
    const struct size_entry *entry = find(address);
    return entry == NULL ? 0 : atomic_load_explicit(&entry->size, memory_order_relaxed);
}

void sizes_forget(const void *address)
{
    struct size_entry *entry = find(address);
    if (entry == NULL)
        return;
    atomic_store_explicit(&entry->size, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->address, 0, memory_order_release);
}
