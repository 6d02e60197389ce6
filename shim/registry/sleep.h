/* Sleep: where a thread may wait in the kernel. The hooks of calls that wait note the registers
 * that such a call keeps, the stack pointer and where it was called, so that a sleeper's frames and
 * the registers of its callers can be read without stopping it: the kernel tells no more than
 * program counter and stack pointer. A note is not taken back; whoever reads it checks that the
 * thread is asleep below it (stack_held()). Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_SLEEP_H
#define OUTLIVE_REGISTRY_SLEEP_H

#include "registry/thread.h"

/* A place where threads wait, by the call and its frame; never 0. */
static inline uint32_t sleep_place(uintptr_t address, uintptr_t slot)
{
    uint64_t mixed = (address ^ slot << 20) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32) | 1;
}

/* In a hook, whose frame that is, before the call that waits. */
static inline __attribute__((always_inline)) void sleep_note(struct thread_block *block,
                                                             uintptr_t frame)
{
    struct thread_sleep *sleep = &block->sleep;
    uintptr_t slot = frame + sizeof(void *), address = *(const uintptr_t *)slot;
    __asm__ volatile("leaq 0f(%%rip), %%rax\n"
                     "0: movq %%rax, %c[pc](%[to])\n\t"
                     "movq %%rsp, %c[sp](%[to])\n\t"
                     "movq %%rbp, %c[bp](%[to])\n\t"
                     "movq %%rbx, %c[bx](%[to])\n\t"
                     "movq %%r12, %c[r12](%[to])\n\t"
                     "movq %%r13, %c[r13](%[to])\n\t"
                     "movq %%r14, %c[r14](%[to])\n\t"
                     "movq %%r15, %c[r15](%[to])"
                     :
                     : [to] "r"(sleep->registers), [pc] "i"(SLEEP_PC * 8), [sp] "i"(SLEEP_SP * 8),
                       [bp] "i"(SLEEP_BP * 8), [bx] "i"(SLEEP_BX * 8), [r12] "i"(SLEEP_R12 * 8),
                       [r13] "i"(SLEEP_R13 * 8), [r14] "i"(SLEEP_R14 * 8), [r15] "i"(SLEEP_R15 * 8)
                     : "rax", "memory");
    sleep->address = address;
    sleep->slot = slot;
}

/* The pause that the hook with that frame has counted ended by itself: nobody woke the thread. */
static inline __attribute__((always_inline)) void sleep_timed_out(struct thread_sleep *sleep,
                                                                  uintptr_t frame)
{
    uintptr_t slot = frame + sizeof(void *);
    uint32_t place = sleep_place(*(const uintptr_t *)slot, slot);
    sleep->places[place >> 28 & (SLEEP_PLACES - 1)] = (struct sleep_place){place, sleep->count};
}

#endif
