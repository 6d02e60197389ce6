/* Hot paths: each argument's work so many times over, for counting instructions. Usage: hot_paths
 * hot|path|lock|destroy|destroy_heap|member ITERATIONS; path: the call path is another one each
 * time
 */
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

/* The shim goes by their names: Bench::~Bench() and Bench::run(). */
void destroy(volatile long *object) __asm__("_ZN5BenchD1Ev");
void run(volatile long *object) __asm__("_ZN5Bench3runEv");
__attribute__((noinline, noclone)) void destroy(volatile long *object)
{
    object[0] = object[0] + 1;
}
__attribute__((noinline, noclone)) void run(volatile long *object)
{
    object[1] = object[1] + 1;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    long iterations = atol(arguments[2]);
    static long still[2];
    volatile long *heap = calloc(1, sizeof still);
    static const char *const words[] = {"hot", "path", "lock", "destroy", "destroy_heap", "member"};
    int what = 0;
    while (what < 5 && strcmp(arguments[1], words[what]) != 0)
        what++;
    for (long i = 0; i < iterations; i++)
        switch (what) {
        case 0:
            leaf(0);
            break;
        case 1:
            first((unsigned)i * 2654435761u >> 16);
            break;
        case 2:
            pthread_mutex_lock(&mutex);
            pthread_mutex_unlock(&mutex);
            break;
        case 3:
            destroy(still);
            break;
        case 4:
            destroy(heap);
            break;
        default:
            run(still);
        }
    return 0;
}
