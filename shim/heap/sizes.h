/* Sizes: what the program asked for, by address, for an allocator that cannot tell the size of a
 * block itself (a home-made malloc without malloc_usable_size, operators new with a heap of their
 * own). Lock-free, async-signal-safe; a block that finds no room in the table has size 0, which
 * means unknown. */
#ifndef OUTLIVE_HEAP_SIZES_H
#define OUTLIVE_HEAP_SIZES_H

#include <stdbool.h>
#include <stddef.h>

/* The top bits of a size are the caller's, to tell kinds of blocks apart. */
#define SIZES_BITS ((size_t)0xf << 60)

/* False: no memory; nothing may be asked. Idempotent. */
bool sizes_start(void);

/* A block was made, or got another size. */
void sizes_set(const void *address, size_t size);
/* 0: unknown. */
size_t sizes_of(const void *address);
/* Before the block goes back to the allocator. */
void sizes_forget(const void *address);

#endif
