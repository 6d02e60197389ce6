/* Nulled: see nulled.h. */
#include "registry/nulled.h"

#include "base/memory.h"
#include "base/probe.h"

#define RANGES 8

/* One library's data. */
struct range {
    uintptr_t start, end;
    /* Of each word what stood there before any handler ran, or, where that was a pointer which a
     * handler made null, the handler's number + 1 with TAKEN set. */
    _Atomic uint64_t *words;
    _Atomic uint32_t running; /* number + 1 of the handler that runs; 0: none */
};

#define TAKEN (UINT64_C(1) << 63)

static struct range ranges[RANGES];
static _Atomic uint32_t range_count;

/* What a word may be that is followed. */
static bool is_pointer(uint64_t word)
{
    return word >= 65536 && word >> 47 == 0;
}

static struct range *range_of(uintptr_t address)
{
    for (uint32_t i = 0; i < atomic_load(&range_count); i++)
        if (address >= ranges[i].start && address < ranges[i].end)
            return &ranges[i];
    return NULL;
}

static size_t words_of(const struct range *range)
{
    return (range->end - range->start) / sizeof(uint64_t);
}

/* Handlers run one after the other, by one thread: the program's own lock in exit(). */
static struct range *add(uintptr_t start, uintptr_t end)
{
    uint32_t number = atomic_load(&range_count);
    struct range *range = &ranges[number];
    if (number == RANGES)
        return NULL;
    *range = (struct range){.start = start, .end = end};
    range->words = memory_map(words_of(range) * sizeof *range->words);
    if (range->words == NULL)
        return NULL;
    for (size_t i = 0; i < words_of(range); i++) {
        uint64_t word = ((const volatile uint64_t *)start)[i];
        if (is_pointer(word)) /* else its page need not be there */
            atomic_store_explicit(&range->words[i], word, memory_order_relaxed);
    }
    atomic_store(&range_count, number + 1);
    return range;
}

void nulled_begin(const struct exit_handler *handler, uintptr_t start, uintptr_t end)
{
    start = (start + 7) & ~(uintptr_t)7;
    if (end <= start || end - start > NULLED_MOST)
        return;
    struct range *range = range_of(start);
    if (range == NULL)
        range = add(start, end);
    if (range != NULL)
        atomic_store(&range->running, handler->number + 1);
}

void nulled_end(const struct exit_handler *handler)
{
    for (uint32_t number = 0; number < atomic_load(&range_count); number++) {
        struct range *range = &ranges[number];
        if (atomic_load(&range->running) != handler->number + 1)
            continue;
        for (size_t i = 0; i < words_of(range); i++) {
            uint64_t before = atomic_load_explicit(&range->words[i], memory_order_relaxed), word;
            /* A page may be closed meanwhile: a large static object that died. */
            if (is_pointer(before) && probe_word((const uint64_t *)range->start + i, &word) &&
                word == 0)
                atomic_store(&range->words[i], TAKEN | (handler->number + 1));
        }
        atomic_store(&range->running, 0);
    }
}

const struct exit_handler *nulled_by(uintptr_t address)
{
    const struct range *range = range_of(address);
    uint64_t word;
    if (range == NULL || (address & 7) != 0 || !probe_word((const void *)address, &word) ||
        word != 0)
        return NULL;
    uint64_t before = atomic_load(&range->words[(address - range->start) / sizeof(uint64_t)]);
    uint32_t running = atomic_load(&range->running);
    if ((before & TAKEN) != 0)
        return exit_handler_of_number((uint32_t)(before & UINT32_MAX) - 1);
    return is_pointer(before) && running != 0 ? exit_handler_of_number(running - 1) : NULL;
}
