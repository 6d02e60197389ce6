/* Patch: see patch.h. Preparing goes in two rounds, by address: judge all functions, each with
 * those of its branches that leave it, then make the trampolines, a region for each neighbourhood.
 */
#include "patch/patch.h"

#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/system.h"
#include "patch/body.h"
#include "patch/pages.h"
#include "patch/segments.h"
#include "patch/trampoline.h"

#include <elf.h>
#include <fcntl.h>

#define NEIGHBOURHOOD ((uintptr_t)1 << 30) /* modules that share a region */

static struct lock patch_lock;

const char *patch_refusal_text(enum patch_refusal refusal)
{
    static const char *const texts[PATCH_REFUSALS] = {
        [PATCH_FINE] = "can be patched",
        [PATCH_TOO_SHORT] = "shorter than the jump",
        [PATCH_NOT_DECODED] = "bytes that are no known instruction",
        [PATCH_BRANCH_INSIDE] = "a branch leads into the first instructions",
        [PATCH_BRANCH_TO_ENTRY] = "a loop leads back to the entry",
        [PATCH_CALL_INSIDE] = "a call among the first instructions",
        [PATCH_NOT_RELOCATED] = "an instruction that works nowhere else",
        [PATCH_TAKEN] = "another tool's jump is there already",
        [PATCH_NO_ROOM] = "no free addresses near by",
        [PATCH_FORBIDDEN] = "the system lets no code be replaced",
        [PATCH_NO_DECODER] = "libZydis is missing",
        [PATCH_THREADS] = "other threads run and may be in it",
    };
    return (unsigned)refusal < PATCH_REFUSALS ? texts[refusal] : "";
}

bool patch_start(void)
{
    return decoder_start();
}

#define ARCH_SHSTK_STATUS 0x5005 /* asm/prctl.h, Linux 6.6 */

/* A shadow stack wants calls: the displaced ones are made by push and jump. */
static bool has_shadow_stack(void)
{
    uint64_t features = 0;
    return system_call3(SYS_arch_prctl, ARCH_SHSTK_STATUS, (long)&features, 0) == 0 &&
           (features & 1) != 0;
}

struct batch {
    struct patch *patches;
    uint32_t *order; /* of their addresses */
    size_t count;
    struct segments segments;
    bool shadow_stack;
    const struct segment *text; /* of the function that is being looked at */
};

static struct patch *nth(const struct batch *batch, size_t number)
{
    return &batch->patches[batch->order[number]];
}

static void sift_down(const struct batch *batch, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && nth(batch, child)->function < nth(batch, child + 1)->function)
            child++;
        if (nth(batch, root)->function >= nth(batch, child)->function)
            return;
        uint32_t swapped = batch->order[root];
        batch->order[root] = batch->order[child];
        batch->order[child] = swapped;
    }
}

/* Heap sort; lists that are sorted already, as symbols often are, cost nothing. */
static bool sort(struct batch *batch)
{
    bool sorted = true;
    batch->order = memory_map(batch->count * sizeof *batch->order);
    if (batch->order == NULL)
        return false;
    for (size_t i = 0; i < batch->count; i++) {
        batch->order[i] = (uint32_t)i;
        sorted = sorted && (i == 0 || batch->patches[i - 1].function <= batch->patches[i].function);
    }
    for (size_t i = batch->count / 2; i-- > 0 && !sorted;)
        sift_down(batch, i, batch->count);
    for (size_t last = batch->count; last-- > 1 && !sorted;) {
        uint32_t swapped = batch->order[0];
        batch->order[0] = batch->order[last];
        batch->order[last] = swapped;
        sift_down(batch, 0, last);
    }
    return true;
}

static void refuse_all(struct patch *patches, size_t count, enum patch_refusal refusal)
{
    for (size_t i = 0; i < count; i++)
        if (patches[i].refusal == PATCH_FINE)
            patches[i].refusal = refusal;
}

static const void *read_module(void *context, uint64_t address, size_t size)
{
    const struct batch *batch = context;
    const struct segment *segment = segments_find(&batch->segments, address);
    return segment != NULL && (segment->flags & PF_R) != 0 &&
                   segment->module == batch->text->module && size <= segment->end - address
               ? (const void *)address
               : NULL;
}

/* A branch out of one function into the replaced bytes of another, as assembler code has them. */
static void note_leaving(void *context, uint64_t target)
{
    const struct batch *batch = context;
    size_t low = 0, high = batch->count;
    while (low < high) { /* the last that starts at or before it */
        size_t middle = low + (high - low) / 2;
        if (nth(batch, middle)->function <= target)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return;
    struct patch *patch = nth(batch, low - 1);
    uintptr_t offset = target - patch->function;
    if (offset == 0 || offset >= ENDBR_SIZE + JUMP_SIZE || offset >= patch->size)
        return;
    size_t jump = relocate_jump_offset((const unsigned char *)patch->function, patch->size);
    if (offset > jump && offset < jump + JUMP_SIZE)
        patch->refusal = PATCH_BRANCH_INSIDE;
}

/* A tail call's jump stays within its module; a tool's jump does not. */
static bool leaves_module(const struct batch *batch, const struct displaced *displaced,
                          const struct code *code)
{
    const struct instruction *first = &displaced->instructions[0];
    if (first->kind != INSTRUCTION_JUMP)
        return false;
    uint64_t target = code->address + displaced->at[0] + first->length + (uint64_t)first->relative;
    const struct segment *segment = segments_find(&batch->segments, target);
    return segment == NULL || segment->module != batch->text->module ||
           (segment->flags & PF_X) == 0;
}

/* False: the function is not in the code of a loaded module that only reads it. */
static bool find_code(struct batch *batch, const struct patch *patch, struct code *code)
{
    const struct segment *text = segments_find(&batch->segments, patch->function);
    if (text == NULL || (text->flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X) ||
        patch->size > text->end - patch->function)
        return false;
    batch->text = text;
    *code = (struct code){.bytes = (const unsigned char *)patch->function,
                          .size = patch->size,
                          .room = text->end - patch->function,
                          .address = patch->function};
    return true;
}

/* Assembler has functions that start within another's first instructions. */
static bool holds_another(const struct batch *batch, size_t number,
                          const struct displaced *displaced)
{
    uintptr_t start = nth(batch, number)->function, end = start + displaced->jump + JUMP_SIZE;
    while (++number < batch->count && nth(batch, number)->function < end)
        if (nth(batch, number)->function != start)
            return true;
    return false;
}

static enum patch_refusal judge(struct batch *batch, size_t number)
{
    const struct patch *patch = nth(batch, number);
    struct displaced displaced;
    struct code code;
    const struct body_world world = {read_module, note_leaving, batch};
    if (patch->size == 0)
        return PATCH_TOO_SHORT;
    if (!find_code(batch, patch, &code))
        return PATCH_FORBIDDEN;
    enum patch_refusal refusal = relocate_find(&displaced, &code);
    if (refusal == PATCH_FINE && leaves_module(batch, &displaced, &code))
        refusal = PATCH_TAKEN;
    if (refusal == PATCH_FINE && holds_another(batch, number, &displaced))
        refusal = PATCH_BRANCH_INSIDE;
    if (refusal == PATCH_FINE && batch->shadow_stack && relocate_has_call(&displaced))
        refusal = PATCH_CALL_INSIDE;
    /* Also where it is refused already: its branches may lead into others. */
    enum patch_refusal body = body_check(&code, &displaced, &world);
    return refusal == PATCH_FINE ? body : refusal;
}

static void judge_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct patch *patch = nth(batch, i);
        patch->refusal = PATCH_FINE;
        patch->original = 0;
    }
    for (size_t i = 0; i < batch->count; i++) {
        enum patch_refusal refusal = judge(batch, i);
        if (nth(batch, i)->refusal == PATCH_FINE)
            nth(batch, i)->refusal = refusal;
    }
}

/* Functions from `first` on whose modules lie near each other, and the extent of these. */
static size_t neighbours(struct batch *batch, size_t first, uintptr_t *low, uintptr_t *high)
{
    size_t at = first;
    uint32_t module = UINT32_MAX;
    *low = UINTPTR_MAX;
    *high = 0;
    for (; at < batch->count; at++) {
        struct code code;
        uintptr_t start, end;
        if (nth(batch, at)->refusal != PATCH_FINE || !find_code(batch, nth(batch, at), &code) ||
            batch->text->module == module)
            continue;
        segments_extent(&batch->segments, batch->text->module, &start, &end);
        start = start < *low ? start : *low;
        end = end > *high ? end : *high;
        if (module != UINT32_MAX && end - start > NEIGHBOURHOOD)
            break;
        module = batch->text->module;
        *low = start;
        *high = end;
    }
    return at;
}

static void make_trampolines(struct batch *batch, size_t first, size_t last, uintptr_t low,
                             uintptr_t high)
{
    struct region region;
    uint32_t most = 0;
    for (size_t i = first; i < last; i++)
        most += nth(batch, i)->refusal == PATCH_FINE;
    if (most == 0)
        return;
    enum patch_refusal opened = trampoline_open(&region, most, low, high);
    for (size_t i = first; i < last; i++) {
        struct patch *patch = nth(batch, i);
        const struct trampoline *trampoline = NULL;
        struct displaced displaced;
        struct code code;
        if (patch->refusal != PATCH_FINE)
            continue;
        patch->refusal = opened;
        if (opened != PATCH_FINE || !find_code(batch, patch, &code))
            continue;
        patch->refusal = relocate_find(&displaced, &code);
        if (patch->refusal == PATCH_FINE)
            patch->refusal = trampoline_add(&region, patch, &displaced, &code, &trampoline);
        if (patch->refusal == PATCH_FINE)
            patch->original = (uintptr_t)trampoline->code;
    }
    enum patch_refusal sealed = opened == PATCH_FINE ? trampoline_seal(&region) : PATCH_FINE;
    for (size_t i = first; i < last && sealed != PATCH_FINE; i++)
        if (nth(batch, i)->refusal == PATCH_FINE) {
            nth(batch, i)->refusal = sealed;
            nth(batch, i)->original = 0;
        }
    if (sealed == PATCH_FORBIDDEN)
        output_tell_once("the system lets no code be made: functions cannot be patched", NULL);
}

void patch_prepare(struct patch *patches, size_t count)
{
    struct batch batch = {.patches = patches, .count = count, .shadow_stack = has_shadow_stack()};
    refuse_all(patches, count, PATCH_FINE);
    lock_take(&patch_lock);
    bool ready = count < UINT32_MAX && sort(&batch) && segments_read(&batch.segments);
    if (!decoder_ready() || !ready) {
        for (size_t i = 0; i < count; i++) {
            patches[i].refusal = ready ? PATCH_NO_DECODER : PATCH_NO_ROOM;
            patches[i].original = 0;
        }
        count = 0;
    }
    if (count > 0)
        judge_all(&batch);
    for (size_t first = 0, last; first < count; first = last) {
        uintptr_t low, high;
        last = neighbours(&batch, first, &low, &high);
        make_trampolines(&batch, first, last, low, high);
    }
    if (batch.segments.all != NULL)
        segments_free(&batch.segments);
    if (batch.order != NULL)
        memory_unmap(batch.order, batch.count * sizeof *batch.order);
    lock_release(&patch_lock);
}

/* Threads made by raw clone are counted, too. */
static bool is_only_thread(void)
{
    struct stat status = {.st_nlink = 0};
    long folder = system_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (folder < 0)
        return false;
    bool known = system_fstat((int)folder, &status) == 0;
    (void)system_close((int)folder);
    return known && status.st_nlink == 3; /* itself, its parent, one thread */
}

static bool is_installed(const struct patch *patch, unsigned char after[JUMP_SIZE])
{
    const struct trampoline *trampoline = trampoline_of(patch->original);
    const unsigned char *at = (const unsigned char *)patch->function + trampoline->jump;
    (void)relocate_jump(after, (uintptr_t)at, (uintptr_t)trampoline->enter);
    return __builtin_memcmp(at, after, JUMP_SIZE) == 0;
}

bool patch_is_installed(const struct patch *patch)
{
    unsigned char after[JUMP_SIZE];
    return patch->original != 0 && is_installed(patch, after);
}

/* The edits of those that may be installed. */
static size_t list_edits(const struct batch *batch, struct edit *edits)
{
    size_t used = 0;
    bool alone = is_only_thread();
    for (size_t i = 0; i < batch->count; i++) {
        struct patch *patch = nth(batch, i);
        if (patch->refusal != PATCH_FINE)
            continue;
        const struct trampoline *trampoline = trampoline_of(patch->original);
        struct edit *edit = &edits[used];
        edit->at = patch->function + trampoline->jump;
        __builtin_memcpy(edit->before, trampoline->before, JUMP_SIZE);
        if (is_installed(patch, edit->after))
            continue;
        if (__builtin_memcmp((const void *)edit->at, edit->before, JUMP_SIZE) != 0)
            patch->refusal = PATCH_TAKEN; /* since it was prepared */
        else if (!alone && !patch->unused && trampoline->count > 1)
            patch->refusal = PATCH_THREADS;
        else
            used++;
    }
    return used;
}

static bool is_any_refused(const struct patch *patches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (patches[i].refusal != PATCH_FINE)
            return true;
    return false;
}

static bool install(struct patch *patches, size_t count, bool whole)
{
    struct batch batch = {.patches = patches, .count = count};
    size_t room = count * sizeof(struct edit), used = 0;
    if (count == 0)
        return true;
    lock_take(&patch_lock);
    struct edit *edits = memory_map(room);
    bool listed = edits != NULL && sort(&batch);
    if (listed)
        used = list_edits(&batch, edits);
    bool wanted = !listed || !whole || !is_any_refused(patches, count);
    bool installed = listed && wanted && pages_edit(edits, used);
    if (!installed && wanted) {
        refuse_all(patches, count, PATCH_FORBIDDEN);
        output_tell_once("the system lets no code be replaced: functions cannot be patched", NULL);
    }
    if (edits != NULL)
        memory_unmap(edits, room);
    if (batch.order != NULL)
        memory_unmap(batch.order, count * sizeof *batch.order);
    lock_release(&patch_lock);
    return installed;
}

bool patch_install(struct patch *patches, size_t count)
{
    return install(patches, count, false);
}

bool patch_install_whole(struct patch *patches, size_t count)
{
    return install(patches, count, true);
}

void patch_prepare_fork(void)
{
    lock_before_fork(&patch_lock);
}

void patch_forked(bool child)
{
    lock_after_fork(&patch_lock, child);
}

uintptr_t patch_source(uintptr_t address)
{
    return trampoline_source(address);
}

enum patch_refusal patch_judge(const unsigned char *code, size_t size, size_t room,
                               uint64_t address)
{
    const struct code judged = {.bytes = code, .size = size, .room = room, .address = address};
    struct displaced displaced;
    struct relocated relocated;
    if (!decoder_ready())
        return PATCH_NO_DECODER;
    enum patch_refusal refusal = relocate_find(&displaced, &judged);
    if (refusal == PATCH_FINE)
        refusal = relocate(&relocated, &displaced, &judged, address, address);
    return refusal == PATCH_FINE ? body_check(&judged, &displaced, NULL) : refusal;
}
