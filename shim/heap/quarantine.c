/* Quarantine: see quarantine.h. */
#include "heap/quarantine.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>

#define RING 4096 /* records of one thread's ring; the option's maximum */
#define SHUTDOWN_FIRST ((uint32_t)THREAD_BLOCKS_MAXIMUM * RING)
#define SHUTDOWN_LEAST 65536 /* records for the shutdown phase, at the least */
#define SHUTDOWN_POISON 256  /* bytes; a program that ends has time for more */

static struct block *records;
static uint32_t record_count;
static struct quarantine_calls calls;
static uint32_t ring_blocks;
static size_t ring_bytes, poison_bytes, shutdown_bytes;
static _Atomic uint64_t poisoned_shutdown, left_early;
static _Atomic bool shutting_down;

/* The shutdown phase's own queue, first in first out. */
static struct lock shutdown_lock;
static uint32_t shutdown_head, shutdown_count;
static size_t shutdown_held;

/* A quarter of what the control group still allows: the rest is for the program to end in. */
static uint64_t group_allowance(void)
{
    uint64_t values[2] = {UINT64_MAX, 0};
    const char *const files[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"};
    for (size_t i = 0; i < 2; i++) {
        char digits[32];
        long file = system_open(files[i], O_RDONLY | O_CLOEXEC, 0);
        long length = file < 0 ? 0 : system_read((int)file, digits, sizeof digits);
        if (file >= 0)
            (void)system_close((int)file);
        if (length <= 1 || !text_parse_size(digits, (size_t)length - 1, &values[i]))
            return UINT64_MAX;
    }
    return values[0] > values[1] ? (values[0] - values[1]) / 4 : 0;
}

bool quarantine_start(const struct options *options, const struct quarantine_calls *given)
{
    size_t size = (size_t)POISON_IDS * sizeof *records;
    calls = *given;
    records = memory_map_sparse(&size, (SHUTDOWN_FIRST + SHUTDOWN_LEAST) * sizeof *records);
    if (records == NULL) {
        output_tell_once("no address space for the quarantine (ulimit -v?): freed blocks are not "
                         "poisoned",
                         NULL);
        return false;
    }
    record_count = (uint32_t)(size / sizeof *records);
    ring_blocks = (uint32_t)options->quarantine_blocks;
    ring_bytes = options->quarantine_size;
    poison_bytes = options->poison / 8 * 8;
    uint64_t allowance = group_allowance();
    shutdown_bytes = options->shutdown_memory < allowance ? options->shutdown_memory : allowance;
    return true;
}

static void poison_block(struct block *block, uint32_t id, size_t most)
{
    size_t bytes = block->size < most ? block->size : most;
    block->generation++;
    block->words = poison_fill((void *)block->address, bytes, POISON_FREED, id, block->generation);
}

/* The first word that is no longer poison, or words. */
static uint32_t first_change(const struct block *block, uint32_t id)
{
    const uint64_t *word = (const uint64_t *)block->address;
    for (uint32_t i = 0; i < block->words; i++)
        if (word[i] != poison_word(POISON_FREED, id, i, block->generation))
            return i;
    return block->words;
}

static void tell_change(const struct block *block, uint32_t changed)
{
    if (__builtin_expect(changed < block->words, 0))
        calls.late_write(block, changed, ((const uint64_t *)block->address)[changed]);
}

/* The record is emptied first, so that a look from another thread (quarantine_check) does not take
 * the cleaning for a late write. Poison is taken out: the next owner must not find it in fresh
 * memory. */
static void leave(struct block *record)
{
    struct block block = *record;
    __atomic_store_n(&record->address, 0, __ATOMIC_SEQ_CST);
    tell_change(&block, first_change(&block, (uint32_t)(record - records)));
    __builtin_memset((void *)block.address, 0, (size_t)block.words * 8);
    calls.release((void *)block.address);
}

static void fill(struct block *block, void *address, size_t usable, uint32_t site, uint32_t stack,
                 enum origin end)
{
    block->address = (uintptr_t)address;
    block->size = (uint32_t)(usable > UINT32_MAX ? UINT32_MAX : usable);
    block->end_ticks = clock_ticks();
    block->site = site;
    block->stack = stack;
    block->end_thread = guard.thread == NULL ? 0 : guard.thread->reference;
    block->end = (uint16_t)end;
}

static bool put_in_shutdown(void *address, size_t usable, uint32_t site, uint32_t stack,
                            enum origin end)
{
    if (usable > shutdown_bytes)
        return false;
    uint32_t room = record_count - SHUTDOWN_FIRST;
    lock_take(&shutdown_lock);
    while (shutdown_count > 0 &&
           (shutdown_held + usable > shutdown_bytes || shutdown_count == room)) {
        uint32_t tail = (shutdown_head + room - shutdown_count) % room;
        struct block *oldest = &records[SHUTDOWN_FIRST + tail];
        shutdown_held -= oldest->size;
        shutdown_count--;
        atomic_fetch_add(&left_early, 1);
        leave(oldest);
    }
    struct block *block = &records[SHUTDOWN_FIRST + shutdown_head];
    fill(block, address, usable, site, stack, end);
    poison_block(block, SHUTDOWN_FIRST + shutdown_head,
                 poison_bytes == 0                ? 0
                 : poison_bytes > SHUTDOWN_POISON ? poison_bytes
                                                  : SHUTDOWN_POISON);
    shutdown_head = (shutdown_head + 1) % room;
    shutdown_count++;
    shutdown_held += block->size;
    lock_release(&shutdown_lock);
    atomic_fetch_add(&poisoned_shutdown, 1);
    return true;
}

static struct block *ring_record(const struct thread_block *owner, uint32_t position)
{
    return &records[owner->number * RING +
                    (position >= ring_blocks ? position - ring_blocks : position)];
}

static void leave_oldest(struct thread_block *owner)
{
    struct block *oldest =
        ring_record(owner, owner->quarantine_head + ring_blocks - owner->quarantine_count);
    owner->quarantine_count--;
    owner->quarantine_bytes -= oldest->size;
    leave(oldest);
}

bool quarantine_put(struct thread_block *owner, void *address, size_t usable, uint32_t site,
                    uint32_t stack, enum origin end)
{
    if (records == NULL)
        return false;
    if (__builtin_expect(atomic_load_explicit(&shutting_down, memory_order_relaxed), 0))
        return put_in_shutdown(address, usable, site, stack, end);
    if (owner == NULL || ring_blocks == 0 || usable > ring_bytes / 4)
        return false;
    while (owner->quarantine_count == ring_blocks ||
           (owner->quarantine_count > 0 && owner->quarantine_bytes + usable > ring_bytes))
        leave_oldest(owner);
    struct block *block = ring_record(owner, owner->quarantine_head);
    fill(block, address, usable, site, stack, end);
    poison_block(block, (uint32_t)(block - records), poison_bytes);
    if (++owner->quarantine_head == ring_blocks)
        owner->quarantine_head = 0;
    owner->quarantine_count++;
    owner->quarantine_bytes += block->size;
    owner->frees++;
    return true;
}

void quarantine_begin_shutdown(void)
{
    atomic_store(&shutting_down, true);
}

void quarantine_flush(struct thread_block *owner)
{
    if (records == NULL || owner == NULL || atomic_load(&shutting_down))
        return;
    while (owner->quarantine_count > 0)
        leave_oldest(owner);
}

/* Believed only if the block did not begin to leave meanwhile. */
static void check_record(struct block *record)
{
    struct block block = *record;
    if (block.address == 0)
        return;
    uint32_t changed = first_change(&block, (uint32_t)(record - records));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&record->address, __ATOMIC_SEQ_CST) == block.address &&
        record->generation == block.generation)
        tell_change(&block, changed);
}

void quarantine_check(void)
{
    /* Rings are at rest only in the shutdown phase. */
    if (records == NULL || !atomic_load(&shutting_down))
        return;
    for (uint32_t number = 0; thread_block_of_number(number) != NULL; number++)
        for (uint32_t i = 0; i < ring_blocks; i++)
            check_record(&records[number * RING + i]);
    /* The exit may come from a signal handler that interrupted the holder. */
    if (!lock_take_within(&shutdown_lock, 200))
        return;
    uint32_t room = record_count - SHUTDOWN_FIRST;
    for (uint32_t i = 0; i < shutdown_count; i++)
        check_record(&records[SHUTDOWN_FIRST + (shutdown_head + room - 1 - i) % room]);
    lock_release(&shutdown_lock);
}

const struct block *quarantine_find(uint64_t word)
{
    struct poison poison = poison_parts(word);
    if (records == NULL || poison.kind != POISON_FREED || poison.id >= record_count)
        return NULL;
    const struct block *block = &records[poison.id];
    if (block->address == 0 || poison.offset >= block->words ||
        word != poison_word(POISON_FREED, poison.id, poison.offset, block->generation))
        return NULL;
    return block;
}

const struct block *quarantine_at(const void *address)
{
    uint64_t word = *(const uint64_t *)address;
    if (__builtin_expect(word >> 56 != POISON_FREED, 1))
        return NULL;
    const struct block *block = quarantine_find(word);
    if (block == NULL ||
        block->address + (uint64_t)poison_parts(word).offset * 8 != (uintptr_t)address)
        return NULL;
    return block;
}

void quarantine_totals(uint64_t *poisoned, uint64_t *early)
{
    uint64_t allocations;
    thread_totals(&allocations, poisoned);
    *poisoned += atomic_load(&poisoned_shutdown);
    *early = atomic_load(&left_early);
}

void quarantine_prepare_fork(void)
{
    lock_take(&shutdown_lock);
}

void quarantine_forked(bool child)
{
    if (child)
        lock_reset(&shutdown_lock);
    else
        lock_release(&shutdown_lock);
}
