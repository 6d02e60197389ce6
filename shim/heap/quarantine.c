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
#define AMONG_MANY                                                                                 \
    8              /* of those between the first and the last DEEP one in so many is looked at     \
                    */
#define DEEP 65536 /* blocks that get so many; where more die, time is short again */
#define BATCH 32   /* records that a thread takes at once */
#define BATCH_BLOCK ((size_t)1024)     /* bytes; larger blocks come one by one */
#define BATCH_ROOM (UINT32_C(1) << 20) /* with less, a record might be needed twice too soon */

struct quarantine quarantine = {.ring_blocks = QUARANTINE_NO_RING};

static uint32_t record_count;
static size_t shutdown_bytes;
static _Atomic uint64_t poisoned_shutdown, left_early;

/* The shutdown phase's own queue, first in first out. */
static struct lock shutdown_lock;
static uint32_t shutdown_head, shutdown_count, shutdown_ready;
static _Atomic bool batches_over;
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
    quarantine.burst = quarantine.rate > QUARANTINE_BURST ? quarantine.rate : QUARANTINE_BURST;
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

/* Records from shutdown_head on are to be used: made ready with fewer page faults. */
static void make_ready(uint32_t count)
{
    uint32_t room = record_count - SHUTDOWN_FIRST;
    if (shutdown_head < MANY || shutdown_head + count <= shutdown_ready ||
        shutdown_head + MANY > room)
        return;
    memory_populate(&quarantine.records[SHUTDOWN_FIRST + shutdown_head],
                    MANY * sizeof *quarantine.records);
    shutdown_ready = shutdown_head + MANY;
}

static void fill_in_shutdown(struct block *record, void *address, size_t usable, uint32_t where,
                             enum origin end)
{
    quarantine_fill(record, usable, where, clock_ticks(),
                    guard.thread == NULL ? 0 : guard.thread->reference, end);
    record->in_shutdown = true;
    record->deep = record - quarantine.records < (ptrdiff_t)SHUTDOWN_FIRST + DEEP;
    quarantine_poison(record, address);
}

/* A lock for each free would make it wait for its poison to reach the memory: small blocks are
 * entered into records that the thread took a few at a time. Their bytes are counted before, and
 * what was too much is given back with the next batch. Only while nothing has left yet: then no
 * record is used twice. */
static bool take_batch(struct thread_block *owner)
{
    uint32_t room = record_count - SHUTDOWN_FIRST;
    const size_t most = BATCH * BATCH_BLOCK;
    if (atomic_load_explicit(&batches_over, memory_order_relaxed))
        return false;
    lock_take(&shutdown_lock);
    if (owner->batch_next != 0)
        shutdown_held -= most - owner->batch_bytes;
    owner->batch_next = 0;
    bool fits = room >= BATCH_ROOM && shutdown_count == shutdown_head &&
                shutdown_head + BATCH < room && shutdown_held + most <= shutdown_bytes;
    if (fits) {
        make_ready(BATCH);
        owner->batch_next = SHUTDOWN_FIRST + shutdown_head;
        owner->batch_left = BATCH;
        owner->batch_bytes = 0;
        shutdown_head += BATCH;
        shutdown_count += BATCH;
        shutdown_held += most;
    } else {
        atomic_store(&batches_over, true);
    }
    lock_release(&shutdown_lock);
    return fits;
}

bool quarantine_in_bulk(const struct thread_block *owner)
{
    return owner->batch_next >= SHUTDOWN_FIRST + DEEP;
}

static bool put_in_shutdown(struct thread_block *owner, void *address, size_t usable,
                            uint32_t where, enum origin end)
{
    if (usable > shutdown_bytes)
        return false;
    if (owner != NULL && usable <= BATCH_BLOCK && (owner->batch_left > 0 || take_batch(owner))) {
        owner->batch_left--;
        owner->batch_bytes += usable;
        owner->frees++;
        fill_in_shutdown(&quarantine.records[owner->batch_next++], address, usable, where, end);
        return true;
    }
    uint32_t room = record_count - SHUTDOWN_FIRST;
    struct block *const first = &quarantine.records[SHUTDOWN_FIRST];
    lock_take(&shutdown_lock);
    while (shutdown_count > 0 &&
           (shutdown_held + usable > shutdown_bytes || shutdown_count == room)) {
        struct block *oldest = &first[(shutdown_head + room - shutdown_count) % room];
        shutdown_count--;
        if (__atomic_load_n(&oldest->address, __ATOMIC_ACQUIRE) == 0)
            continue; /* of a batch, not used yet */
        shutdown_held -= oldest->size < shutdown_held ? oldest->size : shutdown_held;
        atomic_fetch_add(&left_early, 1);
        leave(oldest);
    }
    make_ready(1);
    struct block *record = &first[shutdown_head];
    if (record->address != 0) /* of a batch, used after it was passed by */
        leave(record);
    fill_in_shutdown(record, address, usable, where, end);
    shutdown_head = shutdown_head + 1 == room ? 0 : shutdown_head + 1;
    shutdown_count++;
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
    if (quarantine_is_shutdown())
        return put_in_shutdown(owner, address, usable, where, end);
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
    record = ring_record(owner, owner->quarantine_head + most - owner->quarantine_count);
    __builtin_prefetch((void *)record->address, 1); /* the next to leave */
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
    uintptr_t address = __atomic_load_n(&record->address, __ATOMIC_ACQUIRE);
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
        if (i >= DEEP && shutdown_count - i > DEEP && i % AMONG_MANY != 0)
            continue;
        struct block *record =
            &quarantine.records[SHUTDOWN_FIRST + (shutdown_head + room - 1 - i) % room];
        uint32_t ahead = i < DEEP || shutdown_count - i < DEEP ? AHEAD : AHEAD * AMONG_MANY;
        if (record - quarantine.records >= (ptrdiff_t)SHUTDOWN_FIRST + ahead)
            __builtin_prefetch((const void *)(record - ahead)->address);
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
