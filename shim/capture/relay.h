/* Relay: stands between a patched function and its hook where callers may rely on more than the
 * calling convention. Compilers that see a function's body know which registers it leaves alone,
 * and keep values there over a call (GCC's -fipa-ra): so the relay gives all registers back but the
 * result's. Used by allocator.c for a program's own functions; those of a well-known allocator have
 * no callers beside them. */
#ifndef OUTLIVE_CAPTURE_RELAY_H
#define OUTLIVE_CAPTURE_RELAY_H

#include <stdbool.h>
#include <stdint.h>

/* What the patch is to jump to, with `number` in %r11d, below RELAYS. The hook takes up to four
 * words and finds its caller with CALLER_OF_RELAY(). returns: it has a result. */
#define RELAYS 256
uintptr_t relay_to(uint32_t number, uintptr_t hook, bool returns);

#endif
