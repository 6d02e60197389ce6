/* Trampoline: see trampoline.h. A region is one mapping: the number of its trampolines, a table of
 * where they start, then these. */
#include "patch/trampoline.h"

#include "base/memory.h"
#include "base/system.h"
#include "patch/pages.h"

#include <stdatomic.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* linux/mman.h */
#endif

#define REACH (UINT64_C(1) << 31)
#define STEP (UINT64_C(256) << 10) /* where addresses are tried */
#define HEAP_ROOM (UINT64_C(1) << 30)
#define ALIGNMENT 16
#define REGIONS 1024

/* Sealed regions; they stay for good. */
static struct {
    uintptr_t start, end;
} regions[REGIONS];
static _Atomic uint32_t region_count;

/* Kernels before 4.17 take the flag for a hint. */
static void *map_at(uintptr_t address, size_t size)
{
    long got =
        system_call6(SYS_mmap, (long)address, (long)size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got < 0 && got > -4096)
        return NULL;
    if ((uintptr_t)got == address)
        return (void *)got;
    memory_unmap((void *)got, size);
    return NULL;
}

/* Below the code first: above it the heap may grow. */
static void *map_near(size_t size, uintptr_t low, uintptr_t high)
{
    uintptr_t first = high > REACH ? high - REACH + PAGE_SIZE : STEP;
    uintptr_t last = low + REACH - PAGE_SIZE - size;
    void *start = NULL;
    low = low / STEP * STEP;
    for (uintptr_t at = low - ROUND_UP(size, STEP); start == NULL && at >= first && at < low;
         at -= STEP)
        start = map_at(at, size);
    uintptr_t heap = (uintptr_t)system_call3(SYS_brk, 0, 0, 0);
    uintptr_t above = ROUND_UP(high, STEP);
    if (heap + STEP >= above && heap < last)
        above = ROUND_UP(heap, STEP) + HEAP_ROOM;
    for (uintptr_t at = above; start == NULL && at <= last; at += STEP)
        start = map_at(at, size);
    return start;
}

enum patch_refusal trampoline_open(struct region *region, uint32_t most, uintptr_t low,
                                   uintptr_t high)
{
    size_t table = ROUND_UP((most + (size_t)1) * sizeof(uint32_t), ALIGNMENT);
    size_t size = ROUND_UP(table + most * ROUND_UP(TRAMPOLINE_MOST, ALIGNMENT), PAGE_SIZE);
    *region = (struct region){.size = size, .used = table, .most = most};
    if (size > REACH || high - low > REACH - size || region_count == REGIONS)
        return PATCH_NO_ROOM;
    region->start = map_near(size, low, high);
    return region->start == NULL ? PATCH_NO_ROOM : PATCH_FINE;
}

/* mov %r11, -16(%rsp); mov $number, %r11d; jmp *hook */
static void write_enter(struct trampoline *trampoline, uint32_t number)
{
    static const unsigned char keep[] = {0x4c, 0x89, 0x5c, 0x24, 0xf0};
    unsigned char *at = trampoline->enter;
    int32_t back = -(int32_t)(offsetof(struct trampoline, enter) + 17);
    __builtin_memcpy(at, keep, sizeof keep);
    at[5] = 0x41;
    at[6] = 0xbb;
    __builtin_memcpy(at + 7, &number, sizeof number);
    at[11] = 0xff;
    at[12] = 0x25;
    __builtin_memcpy(at + 13, &back, sizeof back);
    __builtin_memset(at + 17, 0xcc, sizeof trampoline->enter - 17);
}

static void write_start(unsigned char start[TRAMPOLINE_START])
{
    static const unsigned char give_back[] = {0x4c, 0x8b, 0x5c, 0x24, 0xf0};
    _Static_assert(sizeof relocate_endbr + sizeof give_back == TRAMPOLINE_START, "both fit");
    __builtin_memcpy(start, relocate_endbr, ENDBR_SIZE);
    __builtin_memcpy(start + ENDBR_SIZE, give_back, sizeof give_back);
}

enum patch_refusal trampoline_add(struct region *region, const struct patch *patch,
                                  const struct displaced *displaced, const struct code *code,
                                  const struct trampoline **trampoline)
{
    _Static_assert(offsetof(struct trampoline, hook) == 0, "write_enter counts from the end back");
    struct trampoline *made = (struct trampoline *)(region->start + region->used);
    struct relocated relocated;
    unsigned char jump[JUMP_SIZE];
    if (region->count == region->most)
        return PATCH_NO_ROOM;
    enum patch_refusal refusal =
        relocate(&relocated, displaced, code, (uintptr_t)made->code + TRAMPOLINE_START,
                 (uintptr_t)&made->returns);
    if (refusal != PATCH_FINE)
        return refusal;
    if (!relocate_jump(jump, code->address + displaced->jump, (uintptr_t)made->enter))
        return PATCH_NO_ROOM;
    made->hook = patch->hook;
    made->function = patch->function;
    made->returns = relocated.returns;
    made->callee = relocated.callee;
    made->jump = displaced->jump;
    made->count = displaced->count;
    __builtin_memcpy(made->before, code->bytes + displaced->jump, JUMP_SIZE);
    made->mark_count = relocated.mark_count;
    __builtin_memcpy(made->marks, relocated.marks, sizeof made->marks);
    made->code_size = TRAMPOLINE_START + relocated.size;
    write_enter(made, patch->number);
    write_start(made->code);
    __builtin_memcpy(made->code + TRAMPOLINE_START, relocated.bytes, relocated.size);
    ((uint32_t *)region->start)[++region->count] = (uint32_t)region->used;
    region->used += ROUND_UP(sizeof *made + made->code_size, ALIGNMENT);
    *trampoline = made;
    return PATCH_FINE;
}

enum patch_refusal trampoline_seal(struct region *region)
{
    size_t kept = ROUND_UP(region->used, PAGE_SIZE);
    uint32_t number = atomic_load(&region_count);
    if (region->count == 0 || number == REGIONS)
        kept = 0;
    if (kept < region->size)
        memory_unmap(region->start + kept, region->size - kept);
    if (kept == 0)
        return PATCH_NO_ROOM;
    ((uint32_t *)region->start)[0] = region->count;
    if (!memory_protect(region->start, kept, PROT_READ | PROT_EXEC)) {
        memory_unmap(region->start, kept);
        return PATCH_FORBIDDEN;
    }
    pages_name(region->start, kept);
    regions[number].start = (uintptr_t)region->start;
    regions[number].end = (uintptr_t)region->start + region->used;
    atomic_store_explicit(&region_count, number + 1, memory_order_release);
    return PATCH_FINE;
}

static uintptr_t source_in(const struct trampoline *trampoline, uintptr_t address)
{
    uintptr_t code = (uintptr_t)trampoline->code, moved = code + TRAMPOLINE_START;
    if (address < (uintptr_t)trampoline->enter || address >= code + trampoline->code_size)
        return address;
    uint8_t source = address < code ? 0 : trampoline->jump;
    for (unsigned i = 0; i < trampoline->mark_count && address >= moved; i++)
        if (address - moved >= trampoline->marks[i].at)
            source = trampoline->marks[i].source;
    return source == MARK_CALLEE ? trampoline->callee : trampoline->function + source;
}

uintptr_t trampoline_source(uintptr_t address)
{
    uint32_t count = atomic_load_explicit(&region_count, memory_order_acquire), at = 0;
    while (at < count && address - regions[at].start >= regions[at].end - regions[at].start)
        at++;
    if (at == count)
        return address;
    const uint32_t *table = (const uint32_t *)regions[at].start;
    uint32_t low = 1, high = table[0] + 1, offset = (uint32_t)(address - regions[at].start);
    while (low < high) { /* the last that starts at or before it */
        uint32_t middle = low + (high - low) / 2;
        if (table[middle] <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 1)
        return address; /* in the table */
    return source_in((const struct trampoline *)(regions[at].start + table[low - 1]), address);
}
