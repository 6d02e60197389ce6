/* Pages: see pages.h. The new pages are prepared elsewhere, anonymous and writable, made executable
 * and moved over the old ones by one mremap for each run of pages. The kernel does that while it
 * holds the address space: a thread that runs into the gap waits in its page fault (mm/mremap.c,
 * mremap_to). */
#include "patch/pages.h"

#include "base/memory.h"
#include "base/system.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* linux/prctl.h */
#define PR_SET_VMA_ANON_NAME 0
#endif

static uintptr_t page_of(uintptr_t address)
{
    return address & ~(uintptr_t)(PAGE_SIZE - 1);
}

/* The edits of one run of neighbouring pages: how many, and where the run ends. */
static size_t run_of(const struct edit *edits, size_t count, uintptr_t *end)
{
    size_t used = 0;
    *end = page_of(edits[0].at);
    while (used < count && page_of(edits[used].at) <= *end) {
        *end = page_of(edits[used].at + JUMP_SIZE - 1) + PAGE_SIZE;
        used++;
    }
    return used;
}

static void copy_run(unsigned char *copy, uintptr_t start, uintptr_t end, const struct edit *edits,
                     size_t count, bool undo)
{
    __builtin_memcpy(copy, (const void *)start, end - start);
    for (size_t i = 0; i < count; i++)
        __builtin_memcpy(copy + (edits[i].at - start), undo ? edits[i].before : edits[i].after,
                         JUMP_SIZE);
}

void pages_name(void *start, size_t size)
{
    (void)system_call6(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, (long)start, (long)size,
                       (long)"outlive code", 0);
}

/* Returns how many edits are in force. */
static size_t edit_runs(const struct edit *edits, size_t count, bool undo)
{
    uintptr_t end;
    size_t size = 0, used = 0, done = 0;
    for (; used < count; size += end - page_of(edits[used].at), used += done)
        done = run_of(edits + used, count - used, &end);
    unsigned char *copies = memory_map(size);
    if (copies == NULL)
        return 0;
    unsigned char *copy = copies;
    for (used = 0; used < count; used += done) {
        uintptr_t start = page_of(edits[used].at);
        done = run_of(edits + used, count - used, &end);
        copy_run(copy, start, end, edits + used, done, undo);
        copy += end - start;
    }
    used = 0;
    copy = copies;
    if (memory_protect(copies, size, PROT_READ | PROT_EXEC)) {
        pages_name(copies, size);
        for (; used < count; used += done) {
            uintptr_t start = page_of(edits[used].at);
            done = run_of(edits + used, count - used, &end);
            if (system_call6(SYS_mremap, (long)copy, (long)(end - start), (long)(end - start),
                             MREMAP_MAYMOVE | MREMAP_FIXED, (long)start, 0) != (long)start)
                break;
            copy += end - start;
        }
    }
    if (used < count)
        memory_unmap(copy, size - (size_t)(copy - copies));
    return used;
}

/* Mappings are limited (vm.max_map_count): some are held back, so that what fails half-way for want
 * of them can be undone. */
#define RESERVE_PAGES 17

static void *hold_mappings(void)
{
    unsigned char *held = memory_map(RESERVE_PAGES * PAGE_SIZE);
    bool split = held != NULL;
    for (size_t page = 1; split && page < RESERVE_PAGES; page += 2)
        split = memory_protect(held + page * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
    if (held == NULL || split)
        return held;
    memory_unmap(held, RESERVE_PAGES * PAGE_SIZE);
    return NULL;
}

bool pages_edit(const struct edit *edits, size_t count)
{
    void *held;
    if (count == 0)
        return true;
    if ((held = hold_mappings()) == NULL)
        return false;
    size_t done = edit_runs(edits, count, false);
    memory_unmap(held, RESERVE_PAGES * PAGE_SIZE);
    if (done < count && done > 0)
        (void)edit_runs(edits, done, true);
    return done == count;
}
