/* Poison: 64-bit words that no program can use as a pointer and that name what they poison. The
 * top byte makes a word non-canonical with 48- and with 57-bit addresses (Intel SDM volume 1,
 * 3.3.7.1), so the processor faults when it is dereferenced; id, word offset and a check value tell
 * whose word it is, wherever it was copied. Every word of a block differs from the next, so that a
 * dead vector does not look empty. Async-signal-safe. */
#ifndef OUTLIVE_HEAP_POISON_H
#define OUTLIVE_HEAP_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum poison_kind { POISON_FREED = 0x9d, POISON_UNINITIALISED = 0xad };

/* 63-56 kind, 55-40 check, 39-16 id, 15-0 offset in words. */
#define POISON_IDS (UINT32_C(1) << 24)
#define POISON_WORDS 65536

struct poison {
    enum poison_kind kind;
    uint32_t id;
    uint32_t offset; /* in words, from the block's start */
};

static inline uint64_t poison_check(enum poison_kind kind, uint32_t id, uint32_t offset,
                                    uint32_t generation)
{
    uint64_t mixed = (((uint64_t)kind << 40 | id) * UINT64_C(0x9e3779b97f4a7c15)) ^
                     ((uint64_t)offset * UINT64_C(0xff51afd7ed558ccd)) ^
                     ((uint64_t)(generation + 1) * UINT64_C(0xc4ceb9fe1a85ec53));
    return mixed >> 48;
}

/* generation: of the record behind the id, so that words of an earlier user are not believed. */
static inline uint64_t poison_word(enum poison_kind kind, uint32_t id, uint32_t offset,
                                   uint32_t generation)
{
    return (uint64_t)kind << 56 | poison_check(kind, id, offset, generation) << 40 |
           (uint64_t)id << 16 | offset;
}

static inline bool poison_looks_like(uint64_t word)
{
    return word >> 56 == POISON_FREED || word >> 56 == POISON_UNINITIALISED;
}

/* Takes a word apart; the caller must still hold it against poison_word(). */
static inline struct poison poison_parts(uint64_t word)
{
    return (struct poison){(enum poison_kind)(word >> 56), (uint32_t)(word >> 16 & 0xffffff),
                           (uint32_t)(word & 0xffff)};
}

/* Poisons the whole words of [start, start + size), at most POISON_WORDS; returns how many. */
static inline uint32_t poison_fill(void *start, size_t size, enum poison_kind kind, uint32_t id,
                                   uint32_t generation)
{
    uint32_t words = (uint32_t)(size / 8 > POISON_WORDS ? POISON_WORDS : size / 8);
    uint64_t *word = start;
    for (uint32_t i = 0; i < words; i++)
        word[i] = poison_word(kind, id, i, generation);
    return words;
}

#endif
