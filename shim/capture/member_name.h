/* Member name: the class in the mangled name of a member function (Itanium C++ ABI, 5.1.3). Pure,
 * for patched_functions.c. */
#ifndef OUTLIVE_CAPTURE_MEMBER_NAME_H
#define OUTLIVE_CAPTURE_MEMBER_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Writes "A::B" of a function A::B::f, template arguments left out. A namespace looks like a class,
 * and a static member function, or one of a namespace, like a member function. has_this: it is
 * const, volatile or has a ref-qualifier, so that it is none of these. False: no such name: a
 * constructor or destructor, a local function, a copy that the compiler made for itself. */
bool member_class(const char *mangled, char *class, size_t size, bool *has_this);

#endif
