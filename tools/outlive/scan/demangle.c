/* Demangle: names as in the source. Called by the outputs. A hostile name of some hundred bytes can
 * stand for one of many gigabytes: the demangler gets a second, and names of a bounded length. */
#include "outlive/scan/scan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MOST 8192

/* Itanium C++ ABI, 3.4; the C++ library's. */
char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

const char *demangled(const char *name)
{
    static char *held;
    static clock_t spent;
    int status = -1;
    if (strncmp(name, "_Z", 2) != 0 || spent > CLOCKS_PER_SEC ||
        strnlen(name, NAME_MOST) == NAME_MOST)
        return name;
    clock_t start = clock();
    free(held);
    held = __cxa_demangle(name, NULL, NULL, &status);
    spent += clock() - start;
    return held == NULL || status != 0 ? name : held;
}
