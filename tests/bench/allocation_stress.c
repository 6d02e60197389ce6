/* Allocation stress: threads (four) allocate and free blocks of mixed sizes from a few sites,
 * keeping a window of them. Usage: allocation_stress [ITERATIONS [THREADS]] */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { THREADS_MOST = 1000, WINDOW = 512 };

static long iterations = 3000000; /* of each thread */

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

__attribute__((noinline)) static void *small(uint32_t size)
{
    return malloc(16 + size % 112);
}

__attribute__((noinline)) static void *large(uint32_t size)
{
    return malloc(256 + size % 1024);
}

static void *run(void *argument)
{
    uint32_t state = (uint32_t)(uintptr_t)argument;
    char *window[WINDOW] = {0};
    for (long i = 0; i < iterations; i++) {
        uint32_t random = next(&state);
        char **slot = &window[random % WINDOW];
        free(*slot);
        *slot = random % 8 == 0 ? large(random) : small(random);
        **slot = 1;
    }
    for (int i = 0; i < WINDOW; i++)
        free(window[i]);
    return NULL;
}

int main(int count, char **arguments)
{
    static pthread_t threads[THREADS_MOST];
    uintptr_t used = 4;
    if (count > 1)
        iterations = atol(arguments[1]);
    if (count > 2)
        used = (uintptr_t)atol(arguments[2]);
    if (used > THREADS_MOST)
        return 2;
    for (uintptr_t i = 0; i < used; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)(i + 1)) != 0)
            return 1;
    for (uintptr_t i = 0; i < used; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
