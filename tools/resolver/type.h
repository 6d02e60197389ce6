/* Type: what an allocation makes, from the function that allocates, the constructor that follows
 * and the debug information. Says nothing rather than guess. Used by main.c. */
#ifndef OUTLIVE_RESOLVER_TYPE_H
#define OUTLIVE_RESOLVER_TYPE_H

#include "module.h"

/* Which kind of function names the type. */
enum maker { MAKER_NONE, MAKER_ALLOCATOR, MAKER_ALLOCATOR_TRAITS, MAKER_UNIQUE };

/* The type of the `size` bytes got by the call in front of address + 1, or NULL where that is not
 * certain. The caller frees it. */
char *type_of_allocation(struct module *module, uint64_t address, unsigned long size);

/* The type named by a function of an allocator, such as std::__new_allocator<T>::allocate, or NULL.
 * Pure, for tests. The caller frees it. */
char *type_from_function(const char *function, enum maker *maker);

#endif
