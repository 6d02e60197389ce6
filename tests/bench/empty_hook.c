/* Empty hook: a preload that takes malloc and free and does nothing of its own: the floor of what
 * any preloaded tool costs. */
#include <dlfcn.h>
#include <stddef.h>

static void *(*real_malloc)(size_t);
static void (*real_free)(void *);

__attribute__((constructor)) static void start(void)
{
    void *symbol = dlsym(RTLD_NEXT, "malloc");
    __builtin_memcpy(&real_malloc, &symbol, sizeof symbol);
    symbol = dlsym(RTLD_NEXT, "free");
    __builtin_memcpy(&real_free, &symbol, sizeof symbol);
}

void *malloc(size_t size)
{
    if (real_malloc == NULL)
        start();
    return real_malloc(size);
}

void free(void *address)
{
    if (real_free == NULL)
        start();
    real_free(address);
}
