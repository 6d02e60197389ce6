/* Constructor: which class a `new` expression makes, told from the constructor that runs on the
 * memory right after the allocation. Used by type.c. */
#ifndef OUTLIVE_RESOLVER_CONSTRUCTOR_H
#define OUTLIVE_RESOLVER_CONSTRUCTOR_H

#include "module.h"

/* The class made by the allocation that returns to return_address, if its debug information says
 * that it has exactly this size and the constructor stands in the same `new` expression; NULL if
 * there is none, or more than one. The caller frees it. */
char *class_constructed_after(struct module *module, uint64_t return_address, uint64_t size);

#endif
