/* Destructor: tells by a function's mangled name whether it is a destructor, of which class and of
 * which kind (Itanium C++ ABI, 5.1.4.3). Pure, async-signal-safe; used where destructors are
 * patched, and by `outlive scan`. */
#ifndef OUTLIVE_PATCH_DESTRUCTOR_H
#define OUTLIVE_PATCH_DESTRUCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum destructor_kind {
    DESTRUCTOR_DELETING, /* D0: gives the memory back, too */
    DESTRUCTOR_COMPLETE, /* D1 */
    DESTRUCTOR_BASE,     /* D2: leaves virtual bases alone */
    DESTRUCTOR_KINDS
};

struct destructor {
    enum destructor_kind kind;
    size_t class_length; /* the class is told by so many first bytes of the name */
};

/* False too for parts of a destructor, for copies that may take other arguments (".isra.0"), and
 * for the rare name that can be read both ways. */
bool destructor_parse(const char *name, struct destructor *destructor);

#endif
