/* Call: what the call instruction in front of a return address calls. Used by type.c and
 * constructor.c: a type may be told only where the call is known to allocate. */
#ifndef OUTLIVE_RESOLVER_CALL_H
#define OUTLIVE_RESOLVER_CALL_H

#include "module.h"

/* The raw symbol name, also by way of the procedure linkage table, or NULL where the call is
 * indirect or its target has no name. The module's. */
const char *called_before(struct module *module, uint64_t return_address);

/* True for operator new, not for operator new[], and for malloc. */
bool allocates_one_object(const char *raw_name);

/* Copies bytes of the loaded image out of the file; false if not all are there. */
bool module_bytes(struct module *module, uint64_t address, unsigned char *into, size_t size);

#endif
