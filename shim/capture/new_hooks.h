/* New hooks: what start.c must tell them. */
#ifndef OUTLIVE_CAPTURE_NEW_HOOKS_H
#define OUTLIVE_CAPTURE_NEW_HOOKS_H

#include <stdbool.h>

/* Whether the next operator new in symbol order is a standard library's. Once, at start. */
void new_hooks_start(bool is_standard);

#endif
