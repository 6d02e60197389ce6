/* Trampoline: memory near the program's code that holds, for each patched function, the way to the
 * hook and the displaced instructions. Written while it is not executable, then sealed. Called by
 * patch.c, one region at a time; trampoline_source() is async-signal-safe. */
#ifndef OUTLIVE_PATCH_TRAMPOLINE_H
#define OUTLIVE_PATCH_TRAMPOLINE_H

#include "patch/relocate.h"

/* Read-only once sealed. */
struct trampoline {
    uint64_t hook;
    uint64_t function;
    uint64_t returns; /* of a displaced call */
    uint64_t callee;
    unsigned char before[JUMP_SIZE]; /* what the jump replaces, at function + jump */
    uint8_t jump;
    uint8_t count; /* displaced instructions */
    uint8_t mark_count;
    struct mark marks[MARKS_MOST]; /* they count from the displaced instructions */
    uint64_t code_size;            /* of `code` */
    unsigned char enter[24]; /* the jump at the function's entry comes here, and goes to the hook */
    unsigned char code[];    /* the original: a start, the displaced instructions, a jump back */
};

/* `code` starts with endbr64, since hooks call it through a pointer, and mov -16(%rsp), %r11: see
 * patch.h. */
#define TRAMPOLINE_START 9
/* The most that a trampoline takes. */
#define TRAMPOLINE_MOST (sizeof(struct trampoline) + TRAMPOLINE_START + RELOCATED_MOST)

struct region {
    unsigned char *start;
    size_t size, used;
    uint32_t count, most;
};

/* Addresses for `most` trampolines, within reach of all of [low, high). */
enum patch_refusal trampoline_open(struct region *region, uint32_t most, uintptr_t low,
                                   uintptr_t high);
/* Sets *trampoline to the next one, made for the patch. */
enum patch_refusal trampoline_add(struct region *region, const struct patch *patch,
                                  const struct displaced *displaced, const struct code *code,
                                  const struct trampoline **trampoline);
/* From here on it can be run, and trampoline_source() knows it. On a refusal it is gone. */
enum patch_refusal trampoline_seal(struct region *region);

static inline const struct trampoline *trampoline_of(uintptr_t original)
{
    return (const struct trampoline *)(original - offsetof(struct trampoline, code));
}

uintptr_t trampoline_source(uintptr_t address);

#endif
