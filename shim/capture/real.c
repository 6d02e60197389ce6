/* Real: see real.h. */
#include "capture/real.h"

#include "capture/symbol.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>

struct real real;

_Alignas(16) char real_early[REAL_EARLY_SIZE];
static _Atomic size_t early_used;
static __thread bool resolving __attribute__((tls_model("initial-exec")));

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
    const unsigned count = sizeof requests / sizeof *requests;
    if (resolving)
        return;
    resolving = true;
    symbol_find_next(requests, count);
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
