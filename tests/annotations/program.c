/* Annotates a life of its own, or has one of its libraries do it. The last argument tells whether
 * the object is touched after its death (`late`) or before (`early`). Says nothing, ends with 0,
 * where nobody listens. */
#define _GNU_SOURCE
#include "life.h"

#include <stdio.h>
#include <string.h>
#ifdef WITH_LIBRARIES
#include <dlfcn.h>
#include <stdlib.h>

void linked_life(int late);

static int other_life(int count, char **arguments, int late)
{
    if (strcmp(arguments[1], "linked") == 0) {
        linked_life(late);
        return 0;
    }
    /* Its constructor annotates; `again`: only a function that is called when it was opened. */
    int again = strcmp(arguments[1], "opened-again") == 0;
    if ((!again && strcmp(arguments[1], "opened") != 0) || count != 4 ||
        setenv("LIFE", late && !again ? "late" : "early", 1) != 0)
        return 2;
    void *library = dlopen(arguments[2], RTLD_NOW);
    void (*opened_life)(int);
    if (library == NULL || (again && dlopen(arguments[2], RTLD_NOW) != library)) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    *(void **)&opened_life = dlsym(library, "opened_life");
    if (again)
        opened_life(late);
    return dlclose(library);
}
#else
static int other_life(int count, char **arguments, int late)
{
    (void)count, (void)arguments, (void)late;
    return 2;
}
#endif

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    int late = strcmp(arguments[count - 1], "late") == 0;
    if (strcmp(arguments[1], "own") != 0)
        return other_life(count, arguments, late);
#ifndef WITHOUT_OWN
    life(late);
#endif
    return 0;
}
