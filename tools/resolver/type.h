/* Type: what an allocation makes, from the inlined frames at its call and the debug information.
 * Says nothing rather than guess. */
#ifndef OUTLIVE_RESOLVER_TYPE_H
#define OUTLIVE_RESOLVER_TYPE_H

#include "module.h"

/* The type's name, or NULL. The caller frees it. */
char *type_of_allocation(struct module *module, uint64_t address, unsigned long size);

/* The type named by a function of an allocator, such as std::__new_allocator<T>::allocate, or NULL.
 * Pure, for tests. The caller frees it. */
char *type_from_function(const char *function);

#endif
