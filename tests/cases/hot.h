/* A busy allocation site: the first of its objects get places of their own, the one that comes back
 * from here does not. */
#ifndef OUTLIVE_TESTS_HOT_H
#define OUTLIVE_TESTS_HOT_H

#include "case.h"

NOINLINE static void *hot_allocate(size_t size)
{
    void *last = NULL;
    for (int i = 0; i < 1000; i++) {
        if (i > 0)
            free(last);
        last = malloc(size);
        memset(last, 0, size);
    }
    return last;
}

#endif
