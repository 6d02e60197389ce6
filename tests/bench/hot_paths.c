/* Hot paths: each argument's work so many times over, for counting instructions. Usage: hot_paths
 * hot|path|lock ITERATIONS; path: the call path is another one each time */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *volatile block;

/* Sixteen places to call from, so that call paths differ by one return address a level. */
#define PLACES(call)                                                                               \
    switch (path & 15) {                                                                           \
    case 0:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 1:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 2:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 3:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 4:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 5:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 6:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 7:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 8:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 9:                                                                                        \
        call;                                                                                      \
        break;                                                                                     \
    case 10:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    case 11:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    case 12:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    case 13:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    case 14:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    default:                                                                                       \
        call;                                                                                      \
        break;                                                                                     \
    }

#define LEVEL __attribute__((noinline, noclone, optimize("no-crossjumping", "no-tree-tail-merge")))

LEVEL static void leaf(unsigned path)
{
    block = malloc(40 + path % 2);
    free(block);
}
LEVEL static void third(unsigned path)
{
    PLACES(leaf(path))
    block = NULL;
}
LEVEL static void second(unsigned path)
{
    PLACES(third(path >> 4))
    block = NULL;
}
LEVEL static void first(unsigned path)
{
    PLACES(second(path >> 4))
    block = NULL;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    long iterations = atol(arguments[2]);
    for (long i = 0; i < iterations; i++) {
        if (strcmp(arguments[1], "hot") == 0) {
            leaf(0);
        } else if (strcmp(arguments[1], "path") == 0) {
            first((unsigned)i * 2654435761u >> 16);
        } else {
            pthread_mutex_lock(&mutex);
            pthread_mutex_unlock(&mutex);
        }
    }
    return 0;
}
