/* Perturb: short delays where shutdowns race, chosen by `seed`: before a thread's start routine,
 * before a join, and after a guarded object's end in the shutdown phase. What is decided hangs on
 * the seed, the place and how often it came there, so the same seed decides the same again; the
 * scheduler still has its say. Async-signal-safe; call without the guard; errno is kept. */
#ifndef OUTLIVE_EVENT_PERTURB_H
#define OUTLIVE_EVENT_PERTURB_H

#include <stdbool.h>
#include <stdint.h>

enum perturb_at { PERTURB_START, PERTURB_JOIN, PERTURB_DESTRUCTION };

extern uint64_t perturb_seed __attribute__((visibility("hidden"))); /* 0: off */

void perturb_start(uint64_t seed);
void perturb_slow(enum perturb_at at, uintptr_t place);

/* place: the code that is delayed, or calls what is. */
static inline void perturb(enum perturb_at at, uintptr_t place)
{
    if (__builtin_expect(perturb_seed != 0, 0))
        perturb_slow(at, place);
}

#endif
