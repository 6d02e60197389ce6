/* Body: see body.h. */
#include "patch/body.h"

#define TABLE_MOST 4096 /* entries of a jump table */

struct walk {
    const struct code *code;
    const struct body_world *world;
    size_t jump;
    enum patch_refusal found;
};

static void note_target(struct walk *walk, uint64_t target)
{
    uint64_t offset = target - walk->code->address;
    if (offset > walk->jump && offset < walk->jump + JUMP_SIZE)
        walk->found = PATCH_BRANCH_INSIDE;
    else if ((offset == 0 || offset == walk->jump) && walk->found == PATCH_FINE)
        walk->found = PATCH_BRANCH_TO_ENTRY;
}

static bool is_in_body(const struct walk *walk, uint64_t target)
{
    return target - walk->code->address < walk->code->size;
}

static bool decode_at(struct instruction *instruction, const struct code *code, size_t at)
{
    return decode(instruction, code->bytes + at, code->room - at) &&
           instruction->length <= code->size - at;
}

/* Entries are taken for a table's as long as they lead into the function. */
static void check_table(struct walk *walk, uint64_t table, bool absolute)
{
    size_t width = absolute ? sizeof(uint64_t) : sizeof(int32_t);
    for (size_t i = 0; i < TABLE_MOST; i++) {
        const void *entry = walk->world->read(walk->world->context, table + i * width, width);
        if (entry == NULL)
            return;
        uint64_t target;
        if (absolute) {
            __builtin_memcpy(&target, entry, sizeof target);
        } else {
            int32_t distance;
            __builtin_memcpy(&distance, entry, sizeof distance);
            target = table + (uint64_t)(int64_t)distance;
        }
        if (!is_in_body(walk, target))
            return;
        if (!absolute || target != walk->code->address) /* a virtual table tells the entry */
            note_target(walk, target);
    }
}

/* An address that the function computes may be that of a jump table: of distances, as switches
 * have, or of addresses. */
static void check_tables(struct walk *walk)
{
    const struct code *code = walk->code;
    struct instruction instruction;
    for (size_t at = 0; at < code->size; at += instruction.length) {
        if (!decode_at(&instruction, code, at))
            return;
        uint64_t address = code->address + at + instruction.length + (uint64_t)instruction.relative;
        if (instruction.table != 0) {
            check_table(walk, instruction.table, true);
        } else if (instruction.is_lea && instruction.rip_at != 0 && !is_in_body(walk, address)) {
            check_table(walk, address, false);
            check_table(walk, address, true);
        }
    }
}

enum patch_refusal body_check(const struct code *code, const struct displaced *displaced,
                              const struct body_world *world)
{
    struct walk walk = {.code = code, .world = world, .jump = displaced->jump};
    struct instruction instruction;
    bool switches = false;
    for (size_t at = 0; at < code->size; at += instruction.length) {
        if (!decode_at(&instruction, code, at))
            return PATCH_NOT_DECODED;
        uint64_t target = code->address + at + instruction.length + (uint64_t)instruction.relative;
        if (instruction.branches) {
            /* A function that calls itself is called. */
            if (instruction.kind == INSTRUCTION_CALL && target - code->address <= walk.jump)
                continue;
            if (is_in_body(&walk, target))
                note_target(&walk, target);
            else if (world != NULL && world->leaves != NULL && instruction.kind != INSTRUCTION_CALL)
                world->leaves(world->context, target);
        } else if (instruction.rip_at != 0 && target != code->address &&
                   is_in_body(&walk, target)) {
            note_target(&walk, target); /* the address of a label, or data among the code */
        } else if (instruction.kind == INSTRUCTION_JUMP_INDIRECT && instruction.rip_at == 0) {
            switches = true;
        }
    }
    if (switches && walk.found == PATCH_FINE && world != NULL && world->read != NULL)
        check_tables(&walk);
    return walk.found;
}
