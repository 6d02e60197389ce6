/* Sandbox: runs a piece of random code with given registers and tells how it ended, for
 * fuzz_relocate.c. Faults end it too. Everything it may use lies at fixed addresses in the middle
 * of nowhere, so that runs repeat. One thread. */
#ifndef OUTLIVE_TESTS_SANDBOX_H
#define OUTLIVE_TESTS_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#define SANDBOX UINT64_C(0x200000000000)
#define SANDBOX_CODE (SANDBOX + 0x1000)
#define SANDBOX_MOVED (SANDBOX + 0x3000)
#define SANDBOX_DATA (SANDBOX + 0x8000)
#define SANDBOX_DATA_SIZE 0x1000u
#define SANDBOX_STACK (SANDBOX + 0x40000000)
#define SANDBOX_STACK_SIZE 0x2000u
/* A pointer to where code goes at its end: jmp *SANDBOX_EXIT. */
#define SANDBOX_EXIT (SANDBOX + 0xa000)
/* Pieces of code that branches may lead to, and pointers to them that cannot be changed. */
#define SANDBOX_PADS 4
#define SANDBOX_PAD(number) (SANDBOX_CODE + 64 + (number)*UINT64_C(16))
#define SANDBOX_POINTERS (SANDBOX + 0xa100)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI }; /* then r8 to r15 */

struct sandbox_state {
    uint64_t registers[16];
    uint64_t flags;
    unsigned char vectors[256]; /* xmm0 to xmm15 */
    uint64_t stopped_at;        /* 0: at the end */
    int signal;
    uint64_t address; /* of a SIGSEGV */
};

/* Writable views of the code's two pages. */
extern unsigned char *sandbox_code, *sandbox_moved;

void sandbox_start(void);
/* From the state given to the state at the end. */
void sandbox_run(struct sandbox_state *state, uint64_t entry);

#endif
