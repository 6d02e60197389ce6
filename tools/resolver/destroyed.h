/* Destroyed: which classes a destructor is of. Used by main.c. */
#ifndef OUTLIVE_RESOLVER_DESTROYED_H
#define OUTLIVE_RESOLVER_DESTROYED_H

#include "module.h"

/* The classes whose destructor begins at exactly this address, joined by " or ": equal bodies may
 * have been folded into one. NULL: none. The caller frees it. */
char *destroyed_classes(struct module *module, uint64_t address);

/* "a::B" of "a::B::~B()", or NULL where it is no destructor. Pure, for tests. The caller frees it.
 */
char *class_of_destructor(const char *function);

#endif
