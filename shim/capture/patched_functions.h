/* Patched functions: which functions of the executable and its libraries tell when they are
 * entered, by entry patching: all destructors, and the member functions of watched classes. A
 * library that dlopen loads is looked at when the loader has mapped it and allocates memory for
 * itself, before anything in the library can run. */
#ifndef OUTLIVE_CAPTURE_PATCHED_FUNCTIONS_H
#define OUTLIVE_CAPTURE_PATCHED_FUNCTIONS_H

#include "base/options.h"
#include "registry/stack.h"

/* Once, at start, while there is one thread. What is not seen has been told. Without patch=, only
 * the annotations of libraries that are loaded later are looked for. */
void patched_functions_start(const struct options *options);

/* In dlopen's hook, first; caller: of dlopen. */
void patched_functions_loading(struct caller caller);

void patched_functions_prepare_fork(void);
void patched_functions_forked(bool child);

#endif
