/* Relocate: see relocate.h. */
#include "patch/relocate.h"

const unsigned char relocate_endbr[ENDBR_SIZE] = {0xf3, 0x0f, 0x1e, 0xfa};

/* The jumps that tools write at entries, beside the jmp rel32: through a pointer that follows it
 * (ff 25 00000000), through a register just loaded, by push and ret. No compiler starts a function
 * so. */
static bool is_tool_jump(const unsigned char *bytes, size_t room)
{
    static const unsigned char through_next[] = {0xff, 0x25, 0, 0, 0, 0};
    if (room >= 14 && __builtin_memcmp(bytes, through_next, sizeof through_next) == 0)
        return true;
    if (room >= 12 && (bytes[0] == 0x48 || bytes[0] == 0x49) && (bytes[1] & 0xf8) == 0xb8) {
        const unsigned char *jump = bytes + 10; /* after movabs */
        jump += bytes[0] == 0x49 && jump[0] == 0x41;
        if (jump[0] == 0xff && jump + 1 < bytes + room && jump[1] == (0xe0 | (bytes[1] & 7)))
            return true;
    }
    static const unsigned char high_half[] = {0xc7, 0x44, 0x24, 0x04};
    return room >= 14 && bytes[0] == 0x68 &&
           __builtin_memcmp(bytes + 5, high_half, sizeof high_half) == 0 && bytes[13] == 0xc3;
}

/* Functions start at multiples of 16, as compilers make them, and what lies between this one's end
 * and the next such address does nothing: it is a gap, where no other function can start. */
static size_t size_with_gap(const struct code *code)
{
    uint64_t end = code->address + code->size, next = (end + 15) & ~UINT64_C(15);
    size_t limit = (size_t)(next - code->address), at = code->size;
    if (code->address % 16 != 0 || limit > code->room)
        return code->size;
    while (at < limit) {
        struct instruction gap;
        if (!decode(&gap, code->bytes + at, limit - at) ||
            !(gap.is_nop || gap.kind == INSTRUCTION_BREAKPOINT))
            return code->size;
        at += gap.length;
    }
    return limit;
}

enum patch_refusal relocate_find(struct displaced *displaced, const struct code *code)
{
    size_t at = relocate_jump_offset(code->bytes, code->size);
    *displaced = (struct displaced){.jump = (uint8_t)at};
    if (is_tool_jump(code->bytes + at, code->room - at))
        return PATCH_TAKEN;
    size_t wanted = at + JUMP_SIZE, size = code->size;
    if (size < wanted)
        size = size_with_gap(code);
    if (size < wanted)
        return PATCH_TOO_SHORT;
    bool ended = false;
    while (at < wanted && !(ended && at >= code->size)) {
        struct instruction *instruction = &displaced->instructions[displaced->count];
        if (!decode(instruction, code->bytes + at, code->size - at))
            return PATCH_NOT_DECODED;
        displaced->at[displaced->count++] = (uint8_t)at;
        at += instruction->length;
        displaced->end = (uint8_t)at;
        switch (instruction->kind) {
        case INSTRUCTION_BREAKPOINT: /* a debugger's, where it is no gap */
            if (!ended)
                return PATCH_TAKEN;
            break;
        case INSTRUCTION_FIXED:
            return PATCH_NOT_RELOCATED;
        case INSTRUCTION_CALL:
        case INSTRUCTION_CALL_INDIRECT:
            if (at < wanted)
                return PATCH_CALL_INSIDE;
            break;
        default:
            break;
        }
        ended = instruction_ends(instruction) ||
                (ended && (instruction->is_nop || instruction->kind == INSTRUCTION_BREAKPOINT));
        if (at == code->size && at < wanted && !ended)
            return PATCH_TOO_SHORT; /* it goes on beyond its end */
    }
    return PATCH_FINE;
}

/* Operations of the opcode ff, in the group field of the ModRM byte. */
#define GROUP_JUMP 4u
#define GROUP_PUSH 6u

struct writer {
    struct relocated *out;
    const struct code *code;
    uint64_t to, literal;
    bool failed;
};

static void put(struct writer *writer, const void *bytes, size_t count)
{
    struct relocated *out = writer->out;
    if (count > sizeof out->bytes - out->size) {
        writer->failed = true;
        return;
    }
    __builtin_memcpy(out->bytes + out->size, bytes, count);
    out->size = (uint8_t)(out->size + count);
}

static void put_byte(struct writer *writer, unsigned byte)
{
    unsigned char value = (unsigned char)byte;
    put(writer, &value, 1);
}

/* Four bytes that lead to the target from where `more` bytes behind them end. */
static void put_relative(struct writer *writer, uint64_t target, size_t more)
{
    int64_t distance = (int64_t)(target - (writer->to + writer->out->size + 4 + more));
    int32_t value = (int32_t)distance;
    writer->failed = writer->failed || value != distance;
    put(writer, &value, sizeof value);
}

static void put_jump(struct writer *writer, uint64_t target)
{
    put_byte(writer, 0xe9);
    put_relative(writer, target, 0);
}

static void mark(struct writer *writer, uint8_t source)
{
    struct relocated *out = writer->out;
    if (out->mark_count < MARKS_MOST)
        out->marks[out->mark_count++] = (struct mark){out->size, source};
}

/* The return address is the original one, so that unwinding and exceptions find the function. */
static void put_return_address(struct writer *writer, uint64_t next)
{
    static const unsigned char push[] = {0xff, 0x35}; /* push *literal(%rip) */
    writer->out->returns = next;
    put(writer, push, sizeof push);
    put_relative(writer, writer->literal, 0);
    mark(writer, MARK_CALLEE);
}

/* The instruction with another operation in the group field of its ModRM byte. */
static void put_in_group(struct writer *writer, const unsigned char *bytes,
                         const struct instruction *instruction, unsigned group, uint64_t next)
{
    unsigned modrm = bytes[instruction->modrm_at];
    put(writer, bytes, instruction->modrm_at);
    put_byte(writer, (modrm & ~0x38u) | group << 3);
    if (instruction->rip_at != 0)
        put_relative(writer, next + (uint64_t)instruction->relative, 0);
    else
        put(writer, bytes + instruction->modrm_at + 1,
            instruction->length - instruction->modrm_at - 1u);
}

/* An operand in memory may fault, or count from %rsp: it is read before the return address is
 * pushed, and waits below the stack, where a signal leaves 128 bytes alone. No register and no flag
 * changes. */
static void put_indirect_call(struct writer *writer, const unsigned char *bytes,
                              const struct instruction *instruction, uint64_t next)
{
    static const unsigned char pop_aside[] = {0x8f, 0x44, 0x24, 0xf0};  /* pop -16(%rsp) */
    static const unsigned char jump_aside[] = {0xff, 0x64, 0x24, 0xf8}; /* jmp *-8(%rsp) */
    writer->out->callee = writer->code->address; /* an entry, where the stack looks the same */
    if (bytes[instruction->modrm_at] >> 6 == 3) {
        put_return_address(writer, next);
        put_in_group(writer, bytes, instruction, GROUP_JUMP, next);
        return;
    }
    put_in_group(writer, bytes, instruction, GROUP_PUSH, next);
    put(writer, pop_aside, sizeof pop_aside);
    put_return_address(writer, next);
    put(writer, jump_aside, sizeof jump_aside);
}

static void put_instruction(struct writer *writer, const struct instruction *instruction, size_t at)
{
    static const unsigned char over_jump[] = {0x02, 0xeb, JUMP_SIZE};
    const unsigned char *bytes = writer->code->bytes + at;
    uint64_t next = writer->code->address + at + instruction->length;
    uint64_t target = next + (uint64_t)instruction->relative;
    switch (instruction->kind) {
    case INSTRUCTION_JUMP:
        put_jump(writer, target);
        return;
    case INSTRUCTION_CONDITIONAL:
        put_byte(writer, 0x0f);
        put_byte(writer, 0x80 | (instruction->opcode & 15u));
        put_relative(writer, target, 0);
        return;
    case INSTRUCTION_LOOP: /* taken: to the second jump; else over it */
        put(writer, bytes, instruction->length - 1u);
        put(writer, over_jump, sizeof over_jump);
        put_jump(writer, target);
        return;
    case INSTRUCTION_CALL:
        put_return_address(writer, next);
        writer->out->callee = target;
        put_jump(writer, target);
        return;
    case INSTRUCTION_CALL_INDIRECT:
        put_indirect_call(writer, bytes, instruction, next);
        return;
    default:
        break;
    }
    if (instruction->rip_at == 0) {
        put(writer, bytes, instruction->length);
        return;
    }
    size_t after = instruction->rip_at + 4u;
    put(writer, bytes, instruction->rip_at);
    put_relative(writer, target, instruction->length - after);
    put(writer, bytes + after, instruction->length - after);
}

enum patch_refusal relocate(struct relocated *relocated, const struct displaced *displaced,
                            const struct code *code, uint64_t to, uint64_t literal)
{
    struct writer writer = {.out = relocated, .code = code, .to = to, .literal = literal};
    const struct instruction *last = &displaced->instructions[displaced->count - 1];
    __builtin_memset(relocated, 0, sizeof *relocated);
    for (unsigned i = 0; i < displaced->count; i++) {
        const struct instruction *instruction = &displaced->instructions[i];
        mark(&writer, displaced->at[i]);
        put_instruction(&writer, instruction, displaced->at[i]);
    }
    if (!instruction_ends(last) && !relocate_has_call(displaced)) {
        mark(&writer, displaced->end);
        put_jump(&writer, code->address + displaced->end);
    }
    return writer.failed ? PATCH_NOT_RELOCATED : PATCH_FINE;
}

bool relocate_jump(unsigned char jump[JUMP_SIZE], uint64_t from, uint64_t to)
{
    int64_t distance = (int64_t)(to - (from + JUMP_SIZE));
    int32_t value = (int32_t)distance;
    jump[0] = 0xe9;
    __builtin_memcpy(jump + 1, &value, sizeof value);
    return value == distance;
}
