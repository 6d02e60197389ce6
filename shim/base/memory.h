/* Memory: the shim's own, straight from the kernel, never from the program's allocator.
 * Async-signal-safe. Failures return NULL; the caller says what is lost. */
#ifndef OUTLIVE_BASE_MEMORY_H
#define OUTLIVE_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE ((size_t)4096)
#define ROUND_UP(value, unit) (((value) + (unit)-1) / (unit) * (unit))

/* Zeroed pages, readable and writable, committed only when touched. */
void *memory_map(size_t size);

/* As memory_map, for large sparse tables: tries *size and then halves of it down to minimum, for
 * processes under `ulimit -v`; *size is what was got. */
void *memory_map_sparse(size_t *size, size_t minimum);

/* Address space that may not be touched until memory_protect() opens it. */
void *memory_reserve(size_t *size, size_t minimum);

void memory_unmap(void *start, size_t size);
/* Whether the address is part of some mapping, be it one that may not be touched. */
bool memory_is_mapped(uintptr_t address);
bool memory_protect(void *start, size_t size, int protection);
/* Gives the pages' contents back to the kernel. */
bool memory_discard(void *start, size_t size);
/* Commits the whole pages within at once, where the kernel can (Linux 5.14, MADV_POPULATE_WRITE):
 * they will all be used. */
void memory_populate(void *start, size_t size);

#endif
