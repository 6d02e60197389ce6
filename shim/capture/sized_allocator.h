/* Sized allocator: stands between the hooks and a home-made allocator that cannot tell the size of
 * its blocks: it remembers what was asked for. */
#ifndef OUTLIVE_CAPTURE_SIZED_ALLOCATOR_H
#define OUTLIVE_CAPTURE_SIZED_ALLOCATOR_H

#include <stdbool.h>

/* Puts itself into `real`, once that holds the allocator's functions. At start, while there is one
 * thread. False: no memory; freed blocks are then not poisoned. */
bool sized_allocator_start(void);

#endif
