/* Phase: see phase.h. */
#include "registry/phase.h"

#include "base/clock.h"

#include <stdatomic.h>

static const char *_Atomic sign_of_shutdown;
static uint64_t began;
static thread_reference by;

bool phase_begin_shutdown(const char *sign)
{
    const char *none = NULL;
    if (!atomic_compare_exchange_strong(&sign_of_shutdown, &none, sign))
        return false;
    began = clock_ticks();
    by = guard.thread == NULL ? 0 : guard.thread->reference;
    return true;
}

bool phase_is_shutdown(void)
{
    return atomic_load_explicit(&sign_of_shutdown, memory_order_relaxed) != NULL;
}

const char *phase_sign(void)
{
    return atomic_load(&sign_of_shutdown);
}

uint64_t phase_ticks(void)
{
    return began;
}

thread_reference phase_thread(void)
{
    return by;
}

void phase_forked(void)
{
    atomic_store(&sign_of_shutdown, NULL);
}
