/* Destructor name: whether a mangled name is a destructor's (Itanium C++ ABI, 5.1). Pure, for
 * destructor_hooks.c and `outlive scan`. */
#ifndef OUTLIVE_CAPTURE_DESTRUCTOR_NAME_H
#define OUTLIVE_CAPTURE_DESTRUCTOR_NAME_H

/* '0' deleting, '1' complete, '2' base; 0: no destructor. */
char destructor_kind(const char *mangled);
/* Types of the standard library: members of others, which are seen. */
_Bool destructor_is_standard(const char *mangled);

#endif
