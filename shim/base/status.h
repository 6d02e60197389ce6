/* Status: the page that `outlive run` shares with the shim, so that the verdict survives whatever
 * the program does to its exit status and its descriptors. The command makes a memfd of STATUS_SIZE
 * bytes, leaves its number in the environment (OUTLIVE_STATUS_FD); the shim maps it shared at
 * start, then closes it and takes the variable away. Children of fork share it. */
#ifndef OUTLIVE_BASE_STATUS_H
#define OUTLIVE_BASE_STATUS_H

#include <stdatomic.h>
#include <stdint.h>

#define STATUS_VARIABLE "OUTLIVE_STATUS_FD"
#define STATUS_MAGIC UINT32_C(0x4f55544c) /* "OUTL" */
#define STATUS_VERSION 1
#define STATUS_SIZE (UINT32_C(1) << 20)

struct status {
    uint32_t magic, version;
    _Atomic uint32_t loaded;    /* processes in which the shim became ready */
    _Atomic uint32_t confirmed; /* findings, over all processes of the run */
    _Atomic uint32_t imminent;
    _Atomic uint32_t possible;
    _Atomic uint32_t blind_heap; /* 1: some process could not see its heap */
    /* Reports that found no other way out. Writers take room by adding to spill_length; what lies
     * beyond the end of `spill` is lost. */
    _Atomic uint32_t spill_length;
    char spill[];
};

#define STATUS_SPILL_SIZE (STATUS_SIZE - (uint32_t)sizeof(struct status))

#endif
