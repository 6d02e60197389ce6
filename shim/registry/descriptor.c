/* Descriptor: see descriptor.h. */
#include "registry/descriptor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

struct descriptor *descriptors;
uint32_t descriptor_count;
static _Atomic uint32_t top;

/* Births of each site, by the number of its stack: sites that share a place are hot a little
 * earlier. */
#define SITES 4096
#define COLD_BIRTHS 8
static _Atomic uint8_t births[SITES];

bool descriptor_start(void)
{
    struct rlimit limit = {0, 0};
    (void)system_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
    size_t count = limit.rlim_max > DESCRIPTORS_MOST ? DESCRIPTORS_MOST : (size_t)limit.rlim_max;
    size_t size = count * sizeof *descriptors;
    if (count == 0)
        return true;
    descriptors = memory_map_sparse(&size, 256 * sizeof *descriptors);
    if (descriptors == NULL)
        return false;
    count = size / sizeof *descriptors < count ? size / sizeof *descriptors : count;
    descriptor_count = (uint32_t)count;
    return true;
}

static bool is_cold(uint32_t stack)
{
    _Atomic uint8_t *count = &births[stack % SITES];
    if (atomic_load_explicit(count, memory_order_relaxed) >= COLD_BIRTHS)
        return false;
    return atomic_fetch_add(count, 1) < COLD_BIRTHS;
}

static uint64_t word_of(uint64_t generation, uint64_t rest)
{
    return generation << DESCRIPTOR_GENERATION | rest;
}

/* Makes the record the caller's; *word is what it was. False where another thread holds on to it:
 * it may have been interrupted there, so nobody waits long. */
static bool make_busy(struct descriptor *entry, uint64_t *word)
{
    *word = atomic_load(&entry->word);
    for (int tries = 0; tries < 1000; tries++) {
        if (descriptor_state_of(*word) == DESCRIPTOR_BUSY) {
            (void)system_call3(SYS_sched_yield, 0, 0, 0);
            *word = atomic_load(&entry->word);
        } else if (atomic_compare_exchange_weak(
                       &entry->word, word,
                       word_of(descriptor_generation(*word), DESCRIPTOR_BUSY))) {
            return true;
        }
    }
    return false;
}

static struct descriptor_event event_now(const char *how, struct caller caller)
{
    return (struct descriptor_event){how, clock_ticks(), stack_keep(caller),
                                     guard.thread == NULL ? 0 : guard.thread->reference};
}

static void note_top(int number)
{
    uint32_t seen = atomic_load_explicit(&top, memory_order_relaxed);
    while ((uint32_t)number >= seen &&
           !atomic_compare_exchange_weak(&top, &seen, (uint32_t)number + 1))
        ;
}

static void be_born(struct descriptor *entry, uint64_t word, const char *how, struct caller caller)
{
    entry->now = (struct descriptor_life){.birth = event_now(how, caller)};
    atomic_store_explicit(&entry->user, 0, memory_order_relaxed);
    uint64_t cold = is_cold(entry->now.birth.stack) ? DESCRIPTOR_COLD : 0;
    atomic_store_explicit(&entry->word,
                          word_of(descriptor_generation(word) + 1, DESCRIPTOR_OPEN | cold),
                          memory_order_release);
}

void descriptor_born(int number, const char *how, struct caller caller)
{
    struct descriptor *entry = &descriptors[number];
    uint64_t word;
    note_top(number);
    if (!make_busy(entry, &word)) {
        descriptor_forget(number);
        return;
    }
    if (descriptor_state_of(word) == DESCRIPTOR_CLOSED)
        entry->before = entry->now;
    else
        entry->before = (struct descriptor_life){0};
    be_born(entry, word, how, caller);
}

bool descriptor_claim(int number, uint64_t word)
{
    uint64_t flags = word & (DESCRIPTOR_COLD | DESCRIPTOR_SHUT);
    uint64_t busy = word_of(descriptor_generation(word), DESCRIPTOR_BUSY | flags);
    return descriptor_state_of(word) == DESCRIPTOR_OPEN &&
           atomic_compare_exchange_strong(&descriptors[number].word, &word, busy);
}

void descriptor_end(int number, const char *how, struct caller caller, uint64_t flags)
{
    struct descriptor *entry = &descriptors[number];
    uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);
    entry->now.end = event_now(how, caller);
    entry->now.shut = (word & DESCRIPTOR_SHUT) != 0;
    atomic_store_explicit(
        &entry->word,
        word_of(descriptor_generation(word), DESCRIPTOR_CLOSED | (word & DESCRIPTOR_COLD) | flags),
        memory_order_release);
}

void descriptor_replaced(int number, const char *how, struct caller caller)
{
    struct descriptor *entry = &descriptors[number];
    uint64_t word;
    note_top(number);
    if (!make_busy(entry, &word)) {
        descriptor_forget(number);
        return;
    }
    const void *stream = NULL;
    if (descriptor_state_of(word) == DESCRIPTOR_OPEN) {
        stream = entry->now.stream; /* a stream sees nothing of it */
        entry->before = (struct descriptor_life){0};
    } else if (descriptor_state_of(word) == DESCRIPTOR_CLOSED) {
        entry->before = entry->now;
    }
    be_born(entry, word, how, caller);
    entry->now.stream = stream;
}

void descriptor_forget(int number)
{
    struct descriptor *entry = &descriptors[number];
    uint64_t word = atomic_load(&entry->word);
    while (descriptor_state_of(word) != DESCRIPTOR_UNKNOWN &&
           !atomic_compare_exchange_weak(
               &entry->word, &word, word_of(descriptor_generation(word) + 1, DESCRIPTOR_UNKNOWN)))
        ;
}

static bool is_same(uint64_t left, uint64_t right)
{
    return descriptor_generation(left) == descriptor_generation(right) &&
           descriptor_state_of(left) == descriptor_state_of(right);
}

bool descriptor_set(int number, uint64_t word, uint64_t flags)
{
    uint64_t now = atomic_load(&descriptors[number].word);
    while (is_same(now, word))
        if (atomic_compare_exchange_weak(&descriptors[number].word, &now, now | flags))
            return true;
    return false;
}

bool descriptor_clear(int number, uint64_t word, uint64_t flags)
{
    uint64_t now = atomic_load(&descriptors[number].word);
    while (is_same(now, word))
        if (atomic_compare_exchange_weak(&descriptors[number].word, &now, now & ~flags))
            return true;
    return false;
}

void descriptor_set_stream(int number, const void *stream)
{
    if (descriptor_state_of(descriptor_word(number)) == DESCRIPTOR_OPEN)
        descriptors[number].now.stream = stream;
}

bool descriptor_read(int number, struct descriptor *copy)
{
    struct descriptor *entry = &descriptors[number];
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t word = atomic_load_explicit(&entry->word, memory_order_acquire);
        if (descriptor_state_of(word) == DESCRIPTOR_BUSY) {
            (void)system_call3(SYS_sched_yield, 0, 0, 0);
            continue;
        }
        copy->now = entry->now;
        copy->before = entry->before;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (is_same(atomic_load_explicit(&entry->word, memory_order_relaxed), word)) {
            copy->word = word;
            return true;
        }
    }
    return false;
}

bool descriptor_is_open(int number)
{
    return system_call3(SYS_fcntl, number, F_GETFD, 0) >= 0;
}

uint32_t descriptor_top(void)
{
    return atomic_load(&top);
}

/* What the child inherited was opened by its parent's threads, which it does not have. */
void descriptor_forked(void)
{
    for (uint32_t number = 0; number < descriptor_top() && number < descriptor_count; number++)
        if (descriptor_word((int)number) != 0)
            descriptor_forget((int)number);
}
