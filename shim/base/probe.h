/* Probe: reads a word that may lie in memory that is not there. The shim's fault handler knows the
 * one instruction that reads (probe_fault). Only while that handler is installed and SIGSEGV comes
 * to it: guard_active. Async-signal-safe. */
#ifndef OUTLIVE_BASE_PROBE_H
#define OUTLIVE_BASE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* False: the memory cannot be read. */
bool probe_word(const void *address, uint64_t *word) __attribute__((visibility("hidden")));

/* Where a fault at this instruction is to go on; 0 where it is no probe's. */
uintptr_t probe_fault(uintptr_t instruction);

#endif
