/* Real: see real.h. */
#include "capture/real.h"

#include "capture/symbol.h"

#include "base/text.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

struct real real;

_Alignas(16) char real_early[REAL_EARLY_SIZE];
static _Atomic size_t early_used;
static __thread bool resolving __attribute__((tls_model("initial-exec")));

/* In place of functions that this libc does not have: who finds our hooks by dlsym(), or weakly,
 * is told as an old kernel would tell it. */
static long fails(void)
{
    errno = ENOSYS;
    return -1;
}

static long fails_as_posix_threads_do(void)
{
    return ENOSYS;
}

static long fails_as_c11_threads_do(void)
{
    return thrd_error;
}

bool real_is_missing(const void *function)
{
    return function == NULL || function == (const void *)(uintptr_t)&fails ||
           function == (const void *)(uintptr_t)&fails_as_posix_threads_do ||
           function == (const void *)(uintptr_t)&fails_as_c11_threads_do;
}

static void *failing(const char *name)
{
    return (void *)(uintptr_t)(text_begins(name, "pthread_") ? &fails_as_posix_threads_do
                               : text_begins(name, "thrd_") || text_begins(name, "mtx_")
                                   ? &fails_as_c11_threads_do
                                   : &fails);
}

void real_resolve(void)
{
    static struct symbol_request requests[] = {
#define HOOK(name) {#name, NULL, NULL},
#define HOOK_AT(name, version) {#name, version, NULL},
#include "capture/hooks.def"
#undef HOOK
#undef HOOK_AT
    };
    static void *const pointers[] = {
#define HOOK(name) &real.name,
#define HOOK_AT(name, version) HOOK(name)
#include "capture/hooks.def"
#undef HOOK
#undef HOOK_AT
    };
#define HOOK(name) +1
    enum {
        ALLOCATORS = 0
#include "capture/allocator_hooks.def"
    };
#undef HOOK
    const unsigned count = sizeof requests / sizeof *requests;
    if (resolving)
        return;
    resolving = true;
    symbol_find_next(requests, count);
    /* A program without C++ has none of its functions, and the allocator's are asked for by name.
     */
    for (unsigned i = ALLOCATORS; i < count; i++)
        if (requests[i].address == NULL && !text_begins(requests[i].name, "__cxa_"))
            requests[i].address = failing(requests[i].name);
    for (unsigned i = 0; i < count; i++)
        __builtin_memcpy(pointers[i], &requests[i].address, sizeof requests[i].address);
    resolving = false;
}

static void *early_allocate(size_t size)
{
    size_t need = (size + 31) / 16 * 16;
    size_t at = atomic_fetch_add(&early_used, need);
    return at + need > sizeof real_early ? NULL : real_early + at;
}

void *real_allocate(size_t size)
{
    real_need();
    return resolving || real.malloc == NULL ? early_allocate(size) : real.malloc(size);
}

void real_release(void *address)
{
    if (real_is_early(address))
        return;
    real_need();
    if (!resolving && real.free != NULL)
        real.free(address);
}

const char *real_file_of(const void *function)
{
    Dl_info info;
    return function != NULL && dladdr(function, &info) != 0 ? info.dli_fname : NULL;
}
