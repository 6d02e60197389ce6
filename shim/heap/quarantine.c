/* Quarantine: see quarantine.h. */
#include "heap/quarantine.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>

#define SHUTDOWN_FIRST ((uint32_t)THREAD_BLOCKS_MAXIMUM * QUARANTINE_RING)
#define SHUTDOWN_LEAST 65536 /* records for the shutdown phase, at the least */
#define MANY 8192            /* records that are made ready at once when so many have come */
#define SHUTDOWN_POISON 32   /* words; a program that ends has time for more */

struct quarantine quarantine = {.ring_blocks = QUARANTINE_NO_RING};

static uint32_t record_count;
static size_t shutdown_bytes;
static _Atomic uint64_t poisoned_shutdown, left_early;

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
    size_t size = (size_t)POISON_IDS * sizeof(struct block);
    struct block *records =
        memory_map_sparse(&size, (SHUTDOWN_FIRST + SHUTDOWN_LEAST) * sizeof(struct block));
    if (records == NULL) {
        output_tell_once("no address space for the quarantine (ulimit -v?): freed blocks are not "
                         "poisoned",
                         NULL);
        return false;
    }
    record_count = (uint32_t)(size / sizeof *records);
    quarantine.calls = *given;
    if (options->quarantine_blocks > 0)
        quarantine.ring_blocks = (uint32_t)options->quarantine_blocks;
    quarantine.rate =
        options->quarantine_rate == 0 ? UINT32_MAX : (uint32_t)options->quarantine_rate;
    quarantine.ring_bytes = options->quarantine_size;
    quarantine.poison_words = (uint32_t)(options->poison / 8);
    quarantine.shutdown_words = quarantine.poison_words;
    if (options->poison > 0 && quarantine.shutdown_words < SHUTDOWN_POISON)
        quarantine.shutdown_words = SHUTDOWN_POISON;
    quarantine.records = records;
    uint64_t allowance = group_allowance();
    shutdown_bytes = options->shutdown_memory < allowance ? options->shutdown_memory : allowance;
    return true;
}

/* The first word that is no longer poison, or how many are poisoned. */
static size_t first_change(const struct block *record, uintptr_t address)
{
    const uint64_t *word = (const uint64_t *)address, first = quarantine_first(record);
    size_t words = quarantine_words(record);
    for (size_t i = 0; i < words; i++)
        if (word[i] != poison_word(first, i))
            return i;
    return words;
}

void quarantine_tell_change(const struct block *record, uintptr_t address)
{
    struct block block = *record;
    size_t changed = first_change(record, address);
    block.address = address;
    if (changed < quarantine_words(record))
        quarantine.calls.late_write(&block, (uint32_t)changed,
                                    ((const uint64_t *)address)[changed]);
}

static void leave(struct block *record)
{
    void *address = (void *)record->address;
    __atomic_store_n(&record->address, 0, __ATOMIC_RELEASE);
    quarantine_clean(record, address);
    quarantine.calls.release(address);
}

static bool put_in_shutdown(void *address, size_t usable, uint32_t where, enum origin end)
{
    if (usable > shutdown_bytes)
        return false;
    uint32_t room = record_count - SHUTDOWN_FIRST;
    struct block *const first = &quarantine.records[SHUTDOWN_FIRST];
    lock_take(&shutdown_lock);
    while (shutdown_count > 0 &&
           (shutdown_held + usable > shutdown_bytes || shutdown_count == room)) {
        struct block *oldest = &first[(shutdown_head + room - shutdown_count) % room];
        shutdown_held -= oldest->size;
        shutdown_count--;
        atomic_fetch_add(&left_early, 1);
        leave(oldest);
    }
    struct block *record = &first[shutdown_head];
    quarantine_fill(record, usable, where, clock_ticks(),
                    guard.thread == NULL ? 0 : guard.thread->reference, end);
    record->in_shutdown = true;
    quarantine_poison(record, address);
    shutdown_head = shutdown_head + 1 == room ? 0 : shutdown_head + 1;
    shutdown_count++;
    if (shutdown_head % MANY == 0 && shutdown_head + MANY <= room) /* with fewer faults */
        memory_populate(record + 1, MANY * sizeof *record);
    shutdown_held += record->size;
    poisoned_shutdown++;
    lock_release(&shutdown_lock);
    return true;
}

static struct block *ring_record(const struct thread_block *owner, uint32_t position)
{
    uint32_t blocks = quarantine.ring_blocks;
    return &quarantine.records[owner->number * QUARANTINE_RING +
                               (position >= blocks ? position - blocks : position)];
}

static void leave_oldest(struct thread_block *owner)
{
    struct block *oldest = ring_record(owner, owner->quarantine_head + quarantine.ring_blocks -
                                                  owner->quarantine_count);
    owner->quarantine_count--;
    owner->quarantine_bytes -= oldest->size;
    leave(oldest);
}

bool quarantine_put_slow(struct thread_block *owner, void *address, size_t usable, uint32_t where,
                         enum origin end)
{
    uint32_t most = quarantine.ring_blocks;
    if (quarantine.records == NULL)
        return false;
    if (atomic_load_explicit(&quarantine.shutting_down, memory_order_relaxed))
        return put_in_shutdown(address, usable, where, end);
    if (owner == NULL)
        return false;
    if (most == QUARANTINE_NO_RING) {
        owner->quarantine_skip = QUARANTINE_EACH - 1; /* spare the next ones the way here */
        return false;
    }
    if (usable > quarantine.ring_bytes / 16)
        return false;
    while (
        owner->quarantine_count == most ||
        (owner->quarantine_count > 0 && owner->quarantine_bytes + usable > quarantine.ring_bytes))
        leave_oldest(owner);
    struct block *record = ring_record(owner, owner->quarantine_head);
    quarantine_fill(record, usable, where, quarantine_now(owner), owner->reference, end);
    quarantine_poison(record, address);
    if (++owner->quarantine_head == most)
        owner->quarantine_head = 0;
    owner->quarantine_count++;
    owner->quarantine_bytes += record->size;
    owner->frees++;
    return true;
}

void quarantine_begin_shutdown(void)
{
    atomic_store(&quarantine.shutting_down, true);
    for (uint32_t number = 0; thread_block_of_number(number) != NULL; number++)
        thread_block_of_number(number)->quarantine_skip = 0;
}

void quarantine_flush(struct thread_block *owner)
{
    if (quarantine.records == NULL || owner == NULL || atomic_load(&quarantine.shutting_down))
        return;
    while (owner->quarantine_count > 0)
        leave_oldest(owner);
}

/* Believed only if the block did not begin to leave meanwhile. */
static void check_record(struct block *record)
{
    uintptr_t address = record->address;
    uint16_t check = record->check;
    if (address == 0 ||
        __builtin_expect(!poison_differs((const void *)address, quarantine_words(record),
                                         quarantine_first(record)),
                         1))
        return;
    if (__atomic_load_n(&record->address, __ATOMIC_ACQUIRE) == address && record->check == check)
        quarantine_tell_change(record, address);
}

void quarantine_check(void)
{
    /* Rings are at rest only in the shutdown phase. */
    if (quarantine.records == NULL || !atomic_load(&quarantine.shutting_down))
        return;
    bool rings = quarantine.ring_blocks != QUARANTINE_NO_RING;
    for (uint32_t number = 0; rings && thread_block_of_number(number) != NULL; number++)
        for (uint32_t i = 0; i < quarantine.ring_blocks; i++)
            check_record(&quarantine.records[number * QUARANTINE_RING + i]);
    /* The exit may come from a signal handler that interrupted the holder. */
    if (!lock_take_within(&shutdown_lock, 200))
        return;
    uint32_t room = record_count - SHUTDOWN_FIRST;
    enum { AHEAD = 32 }; /* blocks lie anywhere: their memory is asked for early */
    for (uint32_t i = 0; i < shutdown_count; i++) {
        struct block *record =
            &quarantine.records[SHUTDOWN_FIRST + (shutdown_head + room - 1 - i) % room];
        if (record - quarantine.records >= SHUTDOWN_FIRST + AHEAD)
            __builtin_prefetch((const void *)record[-AHEAD].address);
        check_record(record);
    }
    lock_release(&shutdown_lock);
}

const struct block *quarantine_find(uint64_t word)
{
    struct poison poison = poison_parts(word);
    if (quarantine.records == NULL || poison.kind != POISON_FREED || poison.id >= record_count)
        return NULL;
    const struct block *block = &quarantine.records[poison.id];
    if (block->address == 0 || poison.offset >= quarantine_words(block) ||
        quarantine_first(block) != poison_start(word))
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
    lock_before_fork(&shutdown_lock);
}

void quarantine_forked(bool child)
{
    lock_after_fork(&shutdown_lock, child);
}
