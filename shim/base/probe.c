/* Probe: see probe.h. */
#include "base/probe.h"

extern const char probe_load[] __attribute__((visibility("hidden")));
extern const char probe_failed[] __attribute__((visibility("hidden")));

__asm__(".pushsection .text\n"
        ".hidden probe_word, probe_load, probe_failed\n"
        ".globl probe_word, probe_load, probe_failed\n"
        ".type probe_word, @function\n"
        "probe_word:\n"
        ".cfi_startproc\n"
        "xor %eax, %eax\n"
        "probe_load:\n"
        "mov (%rdi), %rcx\n"
        "mov %rcx, (%rsi)\n"
        "inc %eax\n"
        "probe_failed:\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size probe_word, . - probe_word\n"
        ".popsection\n");

uintptr_t probe_fault(uintptr_t instruction)
{
    return instruction == (uintptr_t)probe_load ? (uintptr_t)probe_failed : 0;
}
