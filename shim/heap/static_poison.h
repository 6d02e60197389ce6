/* Static poison: what becomes of the memory of a dead static object. Other objects share its pages,
 * and flags in it are often read on purpose after its end ('was it destroyed?'). So the words that
 * point into mapped memory become poison, vtables and functions among them, and all others stay as
 * they were; pages that are wholly its own are taken away with their content, and come back for
 * reading where a flag is read. Poison words are those of freed blocks with numbers above theirs.
 * Async-signal-safe. */
#ifndef OUTLIVE_HEAP_STATIC_POISON_H
#define OUTLIVE_HEAP_STATIC_POISON_H

#include "registry/static_object.h"

/* Of a dead object that has been published. */
void static_poison_bury(struct static_object *object);
/* A read trapped in its pages, at an address there. Makes that page readable; true where the word
 * is no pointer, nor was one. */
bool static_poison_read(const struct static_object *object, uintptr_t address);
/* Gives its pages back with their content; its poison stays. */
bool static_poison_reopen(struct static_object *object);
/* The dead object and the offset, in bytes, that the word names, or NULL. */
struct static_object *static_poison_find(uint64_t word, uint64_t *offset);
/* All its poison stands: nobody has made a new object there. True where it has none. */
bool static_poison_stands(const struct static_object *object);

/* Whether a word of an object is taken for a pointer; is_mapped tells of an address. Pure. */
bool static_poison_is_pointer(uint64_t word, bool (*is_mapped)(uintptr_t address));

#endif
