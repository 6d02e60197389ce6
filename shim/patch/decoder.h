/* Decoder: what entry patching has to know of one instruction. The decoding is Zydis's, loaded
 * privately by decoder_start(), which is called once at start; decode() is a pure function and
 * async-signal-safe. Names of forms: Intel SDM volume 2. */
#ifndef OUTLIVE_PATCH_DECODER_H
#define OUTLIVE_PATCH_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum instruction_kind {
    INSTRUCTION_PLAIN,       /* goes on with the next one; works anywhere, but for `rip` */
    INSTRUCTION_JUMP,        /* jmp rel8, rel32 */
    INSTRUCTION_CONDITIONAL, /* jcc rel8, rel32 */
    INSTRUCTION_LOOP,        /* loop, loope, loopne, jrcxz, jecxz: rel8 only */
    INSTRUCTION_CALL,        /* call rel32 */
    INSTRUCTION_JUMP_INDIRECT,
    INSTRUCTION_CALL_INDIRECT,
    INSTRUCTION_RETURN,
    INSTRUCTION_BREAKPOINT, /* int3 */
    INSTRUCTION_TRAP,       /* ud2, hlt: never goes on */
    INSTRUCTION_FIXED       /* works at its own place only */
};

struct instruction {
    uint8_t length;
    uint8_t kind;     /* enum instruction_kind */
    uint8_t opcode;   /* the last byte of it */
    uint8_t modrm_at; /* offset of the ModRM byte; 0: none */
    uint8_t rip_at;   /* offset of the four displacement bytes of a rip-relative operand; 0: none */
    bool branches;    /* to end + relative, or not */
    bool is_lea;      /* the operand's address is taken */
    bool is_nop;      /* a form that fills gaps between functions */
    uint32_t table;   /* jmp *table(,%reg,8): the absolute address; 0: none */
    int64_t relative; /* a branch's target, or a rip-relative operand's address, - the end */
};

/* False: there is no libZydis. Idempotent. */
bool decoder_start(void);
bool decoder_ready(void);

/* False: no instruction, or none that is known, or longer than `room`. */
bool decode(struct instruction *instruction, const unsigned char *code, size_t room);
/* The same, by Zydis alone. */
bool decode_slowly(struct instruction *instruction, const unsigned char *code, size_t room);

/* Whether what follows in memory is never reached from it. */
static inline bool instruction_ends(const struct instruction *instruction)
{
    return instruction->kind == INSTRUCTION_JUMP ||
           instruction->kind == INSTRUCTION_JUMP_INDIRECT ||
           instruction->kind == INSTRUCTION_RETURN || instruction->kind == INSTRUCTION_TRAP;
}

#endif
