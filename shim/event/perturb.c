/* Perturb: see perturb.h. */
#include "event/perturb.h"

#include "base/system.h"
#include "registry/phase.h"

#include <stdatomic.h>

#define LONGEST_MS 8
#define TOTAL_MS 1000 /* of all delays of the process */
#define PLACES 256
#define PAGE_MASK UINT64_C(4095)

uint64_t perturb_seed;
static _Atomic uint32_t counts[PLACES]; /* how often each place was come to */
static _Atomic uint32_t spent_ms;

void perturb_start(uint64_t seed)
{
    perturb_seed = seed;
}

static uint64_t mix(uint64_t value) /* splitmix64's last steps */
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void perturb_slow(enum perturb_at at, uintptr_t place)
{
    if (at == PERTURB_DESTRUCTION && !phase_is_shutdown())
        return;
    /* Modules are loaded at random pages; where in its page code lies stays the same. */
    uint64_t key = mix((place & PAGE_MASK) << 2 | (uint64_t)at);
    uint32_t count = atomic_fetch_add(&counts[key % PLACES], 1);
    uint64_t chance = mix(mix(perturb_seed + key) + count);
    if ((chance & 1) == 0)
        return;
    uint32_t delay = 1 + (uint32_t)(chance >> 32) % LONGEST_MS;
    if (atomic_fetch_add(&spent_ms, delay) + delay > TOTAL_MS) {
        atomic_fetch_sub(&spent_ms, delay);
        return;
    }
    system_sleep_ms(delay);
}
