/* Owner: see owner.h. */
#include "base/owner.h"

#include "base/memory.h"
#include "base/system.h"

#include <stdatomic.h>

#define WIPE_ON_FORK 18 /* MADV_WIPEONFORK, asm-generic/mman-common.h */

static _Atomic pid_t *owner; /* 0 in a copy */

void owner_start(void)
{
    owner = memory_map(PAGE_SIZE);
    if (owner != NULL)
        (void)system_call3(SYS_madvise, (long)owner, (long)PAGE_SIZE, WIPE_ON_FORK);
    owner_renew();
}

void owner_renew(void)
{
    if (owner != NULL)
        atomic_store(owner, system_process());
}

bool owner_claim(void)
{
    pid_t wiped = 0;
    return owner != NULL && atomic_load_explicit(owner, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong(owner, &wiped, system_process());
}

bool owner_is_other(void)
{
    pid_t known = owner == NULL ? 0 : atomic_load(owner);
    return known != 0 && known != system_process();
}
