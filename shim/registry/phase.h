/* Phase: whether the process is shutting down, since when, and what began it. Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_PHASE_H
#define OUTLIVE_REGISTRY_PHASE_H

#include "registry/thread.h"

#include <stdbool.h>
#include <stdint.h>

/* True for the first call of the process, which names what began the phase (a static text). */
bool phase_begin_shutdown(const char *sign);
bool phase_is_shutdown(void);
/* NULL, 0 and 0 while running. */
const char *phase_sign(void);
uint64_t phase_ticks(void);
thread_reference phase_thread(void);
/* A child of fork starts a life of its own. */
void phase_forked(void);

#endif
