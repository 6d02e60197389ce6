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

/* From word to word of a block the offset counts up, and the check with it: by exclusive or, so
 * that nothing carries and the words cost one operation each. */
#define POISON_STEP (UINT64_C(1) << 40 | 1)

/* The word at offset 0 of the block that id names. check: from poison_next_check(), so that words
 * of an earlier block with the same id are not believed. */
static inline uint64_t poison_first(enum poison_kind kind, uint32_t id, uint16_t check)
{
    uint64_t mixed = (id + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 48 ^ check;
    return (uint64_t)kind << 56 | mixed << 40 | (uint64_t)id << 16;
}

static inline uint16_t poison_next_check(uint16_t check)
{
    return (uint16_t)(check + 0x9e37);
}

/* The word `offset` words further on. */
static inline uint64_t poison_word(uint64_t start, size_t offset)
{
    return start ^ (offset << 40 | offset);
}

static inline bool poison_looks_like(uint64_t word)
{
    return word >> 56 == POISON_FREED || word >> 56 == POISON_UNINITIALISED;
}

/* Takes a word apart; the caller must still hold poison_start() against the block's own. */
static inline struct poison poison_parts(uint64_t word)
{
    return (struct poison){(enum poison_kind)(word >> 56), (uint32_t)(word >> 16 & 0xffffff),
                           (uint32_t)(word & 0xffff)};
}

/* The word at offset 0 of the block that this word is of. */
static inline uint64_t poison_start(uint64_t word)
{
    return poison_word(word, word & 0xffff);
}

/* The three loops over a block's words, four at a time, since that is the default: from a multiple
 * of four on, the next three differ by constants. */
#define POISON_GROUP(start, i)                                                                     \
    const uint64_t first = poison_word(start, i), second = first ^ POISON_STEP,                    \
                   third = first ^ 2 * POISON_STEP, fourth = first ^ 3 * POISON_STEP

static inline void poison_words(void *address, size_t words, uint64_t start)
{
    uint64_t *word = address;
    size_t i = 0;
    for (; i + 4 <= words; i += 4) {
        POISON_GROUP(start, i);
        word[i] = first;
        word[i + 1] = second;
        word[i + 2] = third;
        word[i + 3] = fourth;
    }
    for (; i < words; i++)
        word[i] = poison_word(start, i);
}

static inline bool poison_differs(const void *address, size_t words, uint64_t start)
{
    const uint64_t *word = address;
    uint64_t differs = 0;
    size_t i = 0;
    for (; i + 4 <= words; i += 4) {
        POISON_GROUP(start, i);
        differs |= (word[i] ^ first) | (word[i + 1] ^ second) | (word[i + 2] ^ third) |
                   (word[i + 3] ^ fourth);
    }
    for (; i < words; i++)
        differs |= word[i] ^ poison_word(start, i);
    return differs != 0;
}

static inline void poison_clear(void *address, size_t words)
{
    uint64_t *word = address;
    size_t i = 0;
    for (; i + 4 <= words; i += 4)
        word[i] = word[i + 1] = word[i + 2] = word[i + 3] = 0;
    for (; i < words; i++)
        word[i] = 0;
}

/* Poisons the whole words of [start, start + size), at most POISON_WORDS; returns how many. */
static inline size_t poison_fill(void *start, size_t size, uint64_t first)
{
    size_t words = size / 8 > POISON_WORDS ? POISON_WORDS : size / 8;
    poison_words(start, words, first);
    return words;
}

#endif
