/* Relocate: takes the instructions that a jump at a function's entry displaces, and writes them
 * anew for another address. Called by patch.c. Pure functions, async-signal-safe. */
#ifndef OUTLIVE_PATCH_RELOCATE_H
#define OUTLIVE_PATCH_RELOCATE_H

#include "patch/decoder.h"
#include "patch/patch.h"

#define JUMP_SIZE 5 /* jmp rel32 */
#define ENDBR_SIZE 4
#define RELOCATED_MOST 64
#define MARKS_MOST 8

extern const unsigned char relocate_endbr[ENDBR_SIZE]; /* endbr64 */

/* The body of a function: `size` bytes, then bytes up to `room` that may be read and lie in the
 * same module. They run at `address`. */
struct code {
    const unsigned char *bytes;
    size_t size, room;
    uint64_t address;
};

/* All offsets count from the function's start. */
struct displaced {
    uint8_t jump; /* where the jump goes: 0, or after an endbr64, which keeps its place */
    uint8_t end;  /* the first instruction that keeps its place */
    uint8_t count;
    uint8_t at[JUMP_SIZE];
    struct instruction instructions[JUMP_SIZE];
};

/* What runs at an offset of the relocated code stands for the instruction at `source` in the
 * function, up to the next mark. */
struct mark {
    uint8_t at, source;
};
#define MARK_CALLEE 0xff /* a call is under way: as if at the entry of `callee` */

struct relocated {
    unsigned char bytes[RELOCATED_MOST];
    uint8_t size, mark_count;
    struct mark marks[MARKS_MOST];
    uint64_t callee, returns; /* of a displaced call; 0: none */
};

/* Where the jump into the function goes; no decoding. */
static inline size_t relocate_jump_offset(const unsigned char *bytes, size_t size)
{
    return size >= ENDBR_SIZE && __builtin_memcmp(bytes, relocate_endbr, ENDBR_SIZE) == 0
               ? ENDBR_SIZE
               : 0;
}

/* Whether the jump finds room, and that nobody's jump is there already. */
enum patch_refusal relocate_find(struct displaced *displaced, const struct code *code);

static inline bool relocate_has_call(const struct displaced *displaced)
{
    const struct instruction *last = &displaced->instructions[displaced->count - 1];
    return last->kind == INSTRUCTION_CALL || last->kind == INSTRUCTION_CALL_INDIRECT;
}

/* Writes the displaced instructions as they run at `to`, and the jump back. `literal` is where the
 * return address of a displaced call (relocated->returns) will stand in memory. */
enum patch_refusal relocate(struct relocated *relocated, const struct displaced *displaced,
                            const struct code *code, uint64_t to, uint64_t literal);

/* jmp rel32 at `from`; false: out of reach. */
bool relocate_jump(unsigned char jump[JUMP_SIZE], uint64_t from, uint64_t to);

#endif
