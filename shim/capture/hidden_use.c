/* Hidden use: see hidden_use.h. Evidence is code that the program can reach, outside of the
 * entries, and that calls what the entries themselves call, or writes what they write; where there
 * is much of the allocator: that calls anything between its entries. What the loader runs at start
 * is none. */
#include "capture/hidden_use.h"

#include "base/memory.h"
#include "patch/decoder.h"

#define WRITTEN_MOST 128

struct body {
    uint64_t start, size;
    bool is_entry, is_inside, is_initial, is_reached;
};

struct bodies {
    struct body *table;
    size_t size;
    size_t count; /* while it is counted */
};

struct walk {
    const struct hidden_use *use;
    const struct elf_image *image;
    struct bodies bodies;
    uint64_t first, last; /* entries */
    uint32_t *reached;    /* from the program's start: places in the table */
    size_t reached_count;
    uint64_t written[WRITTEN_MOST];
    size_t written_count;
};

static struct body *place_of(const struct bodies *bodies, uint64_t start)
{
    size_t at = start * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    for (;; at++) {
        struct body *body = &bodies->table[at & (bodies->size - 1)];
        if (body->size == 0 || body->start == start)
            return body;
    }
}

static struct body *body_at(const struct bodies *bodies, uint64_t start)
{
    struct body *body = place_of(bodies, start);
    return body->size == 0 ? NULL : body;
}

static bool count_body(const struct function *function, void *context)
{
    (void)function;
    ((struct bodies *)context)->count++;
    return true;
}

static bool add_body(const struct function *function, void *context)
{
    struct body *body = place_of(context, function->start);
    body->start = function->start;
    body->size = function->size;
    return true;
}

/* Opcodes that write their first operand (Intel SDM volume 2, appendix A). */
static bool writes(uint8_t opcode)
{
    static const uint8_t known[] = {0x89, 0x88, 0xc7, 0xc6, 0x01, 0x29, 0x83,
                                    0x81, 0xff, 0x87, 0xb1, 0xc1, 0x11, 0x7f};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == opcode)
            return true;
    return false;
}

static bool is_written(const struct walk *walk, uint64_t address)
{
    for (size_t i = 0; i < walk->written_count; i++)
        if (walk->written[i] == address)
            return true;
    return false;
}

/* Whether it can be written at all, and not only while the loader works. */
static bool is_variable(const struct elf_image *image, uint64_t address)
{
    Elf64_Phdr segment;
    bool variable = false;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (address - segment.p_vaddr < segment.p_memsz) {
            if (segment.p_type == PT_GNU_RELRO)
                return false;
            variable = variable || (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) != 0);
        }
    return variable;
}

/* What an allocator's function calls and writes. */
static void look_inside(struct walk *walk, const struct body *entry)
{
    const unsigned char *bytes = elf_image_at(walk->image, entry->start, entry->size);
    struct instruction instruction;
    for (uint64_t at = 0; bytes != NULL && at < entry->size; at += instruction.length) {
        if (!decode(&instruction, bytes + at, entry->size - at))
            return;
        uint64_t target = entry->start + at + instruction.length + (uint64_t)instruction.relative;
        if (instruction.rip_at != 0 && !instruction.is_lea && writes(instruction.opcode) &&
            walk->written_count < WRITTEN_MOST && !is_written(walk, target) &&
            is_variable(walk->image, target))
            walk->written[walk->written_count++] = target;
        struct body *next = instruction.branches ? body_at(&walk->bodies, target) : NULL;
        if (next != NULL && !next->is_entry)
            next->is_inside = true;
    }
}

static bool is_in_range(const struct walk *walk, uint64_t address)
{
    return walk->use->by_range && address >= walk->first && address < walk->last;
}

static void reach(struct walk *walk, struct body *body)
{
    if (body == NULL || body->is_reached || body->is_entry || body->is_inside || body->is_initial ||
        is_in_range(walk, body->start))
        return;
    body->is_reached = true;
    walk->reached[walk->reached_count++] = (uint32_t)(body - walk->bodies.table);
}

/* Goes on from a body that is reached. True: it uses the inside. */
static bool uses(struct walk *walk, const struct body *body)
{
    const unsigned char *bytes = elf_image_at(walk->image, body->start, body->size);
    struct instruction instruction;
    for (uint64_t at = 0; bytes != NULL && at < body->size; at += instruction.length) {
        if (!decode(&instruction, bytes + at, body->size - at))
            return false;
        uint64_t end = at + instruction.length;
        uint64_t target = body->start + end + (uint64_t)instruction.relative;
        if (!walk->use->by_range && instruction.rip_at != 0 && !instruction.is_lea &&
            writes(instruction.opcode) && is_written(walk, target))
            return true;
        if (!instruction.branches && instruction.rip_at == 0) {
            /* An address taken at a fixed place stands in the last four bytes. */
            uint32_t taken;
            if (walk->image->header.e_type != ET_EXEC || instruction.length < 5)
                continue;
            __builtin_memcpy(&taken, bytes + end - sizeof taken, sizeof taken);
            target = taken;
        }
        struct body *next = body_at(&walk->bodies, target);
        if (next == NULL || next == body)
            continue;
        if (!next->is_entry &&
            (walk->use->by_range ? is_in_range(walk, next->start) : next->is_inside))
            return true;
        reach(walk, next);
    }
    return false;
}

/* Functions in a table that the loader has filled in. */
static void note_initial(struct walk *walk, int64_t table_tag, int64_t size_tag)
{
    struct elf_dynamic dynamic;
    uint64_t table, size;
    if (!elf_image_dynamic(walk->image, &dynamic) ||
        !elf_dynamic_value(&dynamic, table_tag, &table) ||
        !elf_dynamic_value(&dynamic, size_tag, &size))
        return;
    const uint64_t *functions = (const uint64_t *)(walk->use->bias + table);
    for (size_t i = 0; i < size / sizeof *functions; i++) {
        struct body *body = body_at(&walk->bodies, functions[i] - walk->use->bias);
        if (body != NULL)
            body->is_initial = true;
    }
}

/* Functions whose addresses stand in data: virtual ones, callbacks. */
static void reach_by_data(struct walk *walk)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(walk->image, i, &segment); i++) {
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) == 0)
            continue;
        uint64_t end = segment.p_vaddr + segment.p_filesz;
        for (uint64_t at = (segment.p_vaddr + 7) & ~UINT64_C(7); at + 8 <= end; at += 8)
            reach(walk, body_at(&walk->bodies,
                                *(const uint64_t *)(walk->use->bias + at) - walk->use->bias));
    }
}

static bool find_use(struct walk *walk)
{
    const struct hidden_use *use = walk->use;
    for (size_t i = 0; i < use->count; i++) {
        const struct function *entry = &use->entries[i];
        struct body *body = body_at(&walk->bodies, entry->start);
        if (body != NULL)
            body->is_entry = true;
        walk->first = entry->start < walk->first ? entry->start : walk->first;
        walk->last = entry->start > walk->last ? entry->start : walk->last;
    }
    for (size_t i = 0; i < walk->bodies.size; i++)
        if (walk->bodies.table[i].is_entry || is_in_range(walk, walk->bodies.table[i].start))
            look_inside(walk, &walk->bodies.table[i]);
    note_initial(walk, DT_INIT_ARRAY, DT_INIT_ARRAYSZ);
    note_initial(walk, DT_FINI_ARRAY, DT_FINI_ARRAYSZ);
    reach(walk, body_at(&walk->bodies, walk->image->header.e_entry));
    if (!use->by_range) /* allocators have such tables themselves */
        reach_by_data(walk);
    for (size_t i = 0; i < walk->reached_count; i++)
        if (uses(walk, &walk->bodies.table[walk->reached[i]]))
            return true;
    return false;
}

bool hidden_use_any(const struct hidden_use *use)
{
    struct walk walk = {.use = use, .image = &use->file->image, .first = UINT64_MAX};
    struct bodies *bodies = &walk.bodies;
    (void)functions_by_frame(walk.image, count_body, bodies);
    for (bodies->size = 64; bodies->size < bodies->count * 2;)
        bodies->size *= 2;
    size_t table = bodies->size * sizeof *bodies->table;
    size_t list = bodies->size * sizeof *walk.reached;
    bodies->table = memory_map(table);
    walk.reached = memory_map(list);
    bool found = false;
    if (bodies->table != NULL && walk.reached != NULL) {
        (void)functions_by_frame(walk.image, add_body, bodies);
        found = find_use(&walk);
    }
    if (bodies->table != NULL)
        memory_unmap(bodies->table, table);
    if (walk.reached != NULL)
        memory_unmap(walk.reached, list);
    return found;
}
