/* Vector state: saving and restoring the vector registers around calls that the program does not
 * know of. For the assembly in entry.c and relay.c. */
#ifndef OUTLIVE_CAPTURE_VECTOR_STATE_H
#define OUTLIVE_CAPTURE_VECTOR_STATE_H

/* Learns what this processor has; idempotent. Before the first use of what follows. */
void vector_state_measure(void);

/* Takes room below %rsp, aligned to 64, and saves into it. %rbp must tell the way back. Uses %rax,
 * %rdx and numeric labels 90 and 91; restoring uses the same. The header: XSAVE writes half of it,
 * XRSTOR wants the rest zero (Intel SDM volume 1, 13.7). */
#define VECTOR_STATE_SAVE                                                                          \
    "mov vector_state_size(%rip), %eax\n"                                                          \
    "sub %rax, %rsp\n"                                                                             \
    "and $-64, %rsp\n"                                                                             \
    "mov vector_state_mask(%rip), %eax\n"                                                          \
    "test %eax, %eax\n"                                                                            \
    "jz 90f\n"                                                                                     \
    "xor %edx, %edx\n"                                                                             \
    "mov %rdx, 512(%rsp)\n"                                                                        \
    "mov %rdx, 520(%rsp)\n"                                                                        \
    "mov %rdx, 528(%rsp)\n"                                                                        \
    "mov %rdx, 536(%rsp)\n"                                                                        \
    "mov %rdx, 544(%rsp)\n"                                                                        \
    "mov %rdx, 552(%rsp)\n"                                                                        \
    "mov %rdx, 560(%rsp)\n"                                                                        \
    "mov %rdx, 568(%rsp)\n"                                                                        \
    "xsave (%rsp)\n"                                                                               \
    "jmp 91f\n"                                                                                    \
    "90: fxsave (%rsp)\n"                                                                          \
    "91:\n"
#define VECTOR_STATE_RESTORE                                                                       \
    "mov vector_state_mask(%rip), %eax\n"                                                          \
    "test %eax, %eax\n"                                                                            \
    "jz 90f\n"                                                                                     \
    "xor %edx, %edx\n"                                                                             \
    "xrstor (%rsp)\n"                                                                              \
    "jmp 91f\n"                                                                                    \
    "90: fxrstor (%rsp)\n"                                                                         \
    "91:\n"

#endif
