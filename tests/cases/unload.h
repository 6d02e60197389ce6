/* For cases with a library that is unloaded: the same file is built a second time, with
 * CASE_LIBRARY, as the library PROGRAM.so. */
#ifndef OUTLIVE_TESTS_UNLOAD_H
#define OUTLIVE_TESTS_UNLOAD_H

#include "waits.h"

#include <dlfcn.h>

static inline const char *unload_path(void)
{
    static char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 8);
    strcpy(path + (length < 0 ? 0 : length), ".so");
    return path;
}

NOINLINE static void *load(void)
{
    void *library = dlopen(unload_path(), RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
    case_sink++;
    return library;
}

NOINLINE static void drop(void *library)
{
    dlclose(library);
    case_sink++;
}

/* As POSIX has it for functions. */
#define unload_find(library, name, function)                                                       \
    do {                                                                                           \
        void *found = dlsym(library, name);                                                        \
        memcpy(&function, &found, sizeof found);                                                   \
    } while (0)

#endif
