/* Fuzzes entry patching: random functions run as they are and with their first instructions
 * relocated, and must end alike, in registers, flags, vectors, memory and faults. The input seeds
 * the choice, and is judged as a function itself. */
#include "sandbox.h"

#include "base/options.h"
#include "base/output.h"
#include "patch/patch.h"
#include "patch/relocate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL 0x800 /* the return address, in the page of moved code */

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

static bool one_in(uint64_t times)
{
    return next() % times == 0;
}

static unsigned char byte(void)
{
    return (unsigned char)next();
}

/* Instructions that leave the sandbox, or whose result is never the same: system calls, far
 * branches, segment registers, popf (trap flag), time, random numbers, saved states with an
 * instruction pointer in them. */
static bool is_left_out(unsigned map, unsigned opcode, unsigned modrm)
{
    static const unsigned char one[] = {0x8e, 0x9a, 0x9d, 0xca, 0xcb, 0xcc, 0xcd,
                                        0xce, 0xcf, 0xea, 0xf1, 0x9b, 0xd5};
    static const unsigned char two[] = {
        0x00, 0x01, 0x05, 0x07, 0x31, 0x33, 0x34, 0x35,
        0x37, 0xa1, 0xa2, 0xa9, 0xae, 0xb2, 0xb4, 0xb5,
    };
    unsigned group = modrm >> 3 & 7;
    if (map == 2)
        return memchr(two, (int)opcode, sizeof two) != NULL || (opcode == 0xc7 && group != 1);
    if (map != 1)
        return map == 3 && opcode >= 0xd8 && opcode <= 0xdf; /* key locker */
    return memchr(one, (int)opcode, sizeof one) != NULL ||
           (opcode == 0xff && (group == 3 || group == 5)) ||
           ((opcode == 0xd9 || opcode == 0xdd) && group == 6) || /* fnstenv, fnsave */
           (opcode == 0xc7 && group == 7);                       /* xbegin */
}

static bool is_prefix_or_escape(unsigned opcode)
{
    static const unsigned char all[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67,
                                        0xf0, 0xf2, 0xf3, 0x0f, 0xc4, 0xc5, 0x62, 0x8f};
    return (opcode & 0xf0) == 0x40 || memchr(all, (int)opcode, sizeof all) != NULL;
}

/* Some instruction without a branch; its length. */
static size_t choose_plain(unsigned char *at, uint64_t address)
{
    static const unsigned char prefixes[] = {0x66, 0xf2, 0xf3, 0xf0};
    struct instruction instruction;
    for (;;) {
        unsigned char *end = at, *opcode;
        unsigned map = one_in(2) ? 1 : one_in(3) ? (unsigned)(3 + next() % 2) : 2;
        if (one_in(10)) { /* VEX */
            bool two = one_in(2);
            *end++ = two ? 0xc5 : 0xc4;
            if (!two)
                *end++ = (unsigned char)((byte() & 0xe0) | (map = (unsigned)(1 + next() % 3)));
            map = two ? 2 : map + 1;
            *end++ = byte();
        } else {
            for (uint64_t i = one_in(3) ? 1 + next() % 2 : 0; i > 0; i--)
                *end++ = prefixes[next() % 4];
            if (!one_in(3))
                *end++ = 0x40 | (byte() & 15);
            if (map > 1)
                *end++ = 0x0f;
            if (map > 2)
                *end++ = map == 3 ? 0x38 : 0x3a;
        }
        opcode = end++;
        *opcode = byte();
        if (map == 1 && is_prefix_or_escape(*opcode))
            continue;
        *end++ = one_in(2) ? (unsigned char)((byte() & 0x38) | 5) : byte();
        while (end < at + 20)
            *end++ = one_in(3) ? 0 : byte();
        if (is_left_out(map, *opcode, opcode[1]) || !decode(&instruction, at, 15) ||
            instruction.kind == INSTRUCTION_FIXED || instruction.branches)
            continue;
        if (instruction.kind == INSTRUCTION_JUMP_INDIRECT ||
            instruction.kind == INSTRUCTION_CALL_INDIRECT)
            continue; /* see choose_branch() */
        if (instruction.rip_at != 0) {
            uint64_t target = SANDBOX_DATA + 256 + next() % 1024 / 16 * (one_in(4) ? 1 : 16);
            int32_t distance = (int32_t)(target - (address + instruction.length));
            memcpy(at + instruction.rip_at, &distance, sizeof distance);
        }
        return instruction.length;
    }
}

static uint64_t pad(uint64_t number)
{
    return SANDBOX_PAD(number % SANDBOX_PADS);
}

static void put_distance(unsigned char *at, size_t size, uint64_t from, uint64_t to)
{
    uint64_t distance = to - (from + size);
    memcpy(at, &distance, size);
}

/* A branch to one of the function's ends; its length. */
static size_t choose_branch(unsigned char *at, uint64_t address)
{
    uint64_t target = pad(next());
    switch (next() % 9) {
    case 0:
        at[0] = 0xeb;
        put_distance(at + 1, 1, address + 1, target);
        return 2;
    case 1:
        at[0] = 0xe9;
        put_distance(at + 1, 4, address + 1, target);
        return 5;
    case 2:
        at[0] = 0xe8;
        put_distance(at + 1, 4, address + 1, target);
        return 5;
    case 3:
        at[0] = (unsigned char)(0xe0 | (byte() & 3));
        put_distance(at + 1, 1, address + 1, target);
        return 2;
    case 4:
        at[0] = 0x0f;
        at[1] = (unsigned char)(0x80 | (byte() & 15));
        put_distance(at + 2, 4, address + 2, target);
        return 6;
    case 5: /* jmp or call through memory */
        at[0] = 0xff;
        at[1] = one_in(2) ? 0x15 : 0x25;
        put_distance(at + 2, 4, address + 2, SANDBOX_POINTERS + next() % 4 * 8);
        return 6;
    case 6: /* ... or a register; %r15 points there */
        at[0] = 0x41;
        at[1] = 0xff;
        at[2] = (unsigned char)((one_in(2) ? 0x50 : 0x60) | 7);
        at[3] = (unsigned char)(next() % 4 * 8);
        return 4;
    default:
        at[0] = (unsigned char)(0x70 | (byte() & 15));
        put_distance(at + 1, 1, address + 1, target);
        return 2;
    }
}

/* Ends tell themselves apart by a byte in memory. */
static void write_end(unsigned char *at, uint64_t address, unsigned char number)
{
    at[0] = 0xc6; /* movb $number, DATA(%rip) */
    at[1] = 0x05;
    put_distance(at + 2, 4, address + 3, SANDBOX_DATA);
    at[6] = number;
    at[7] = 0xff; /* jmp *EXIT(%rip) */
    at[8] = 0x25;
    put_distance(at + 9, 4, address + 9, SANDBOX_EXIT);
}

static size_t write_function(void)
{
    size_t size = 0;
    memset(sandbox_code, 0xcc, 256);
    if (one_in(4)) {
        memcpy(sandbox_code, relocate_endbr, ENDBR_SIZE);
        size = ENDBR_SIZE;
    }
    size_t wanted = size + JUMP_SIZE + next() % 8;
    while (size < wanted) {
        unsigned char *at = sandbox_code + size;
        size += one_in(4) ? choose_branch(at, SANDBOX_CODE + size)
                          : choose_plain(at, SANDBOX_CODE + size);
    }
    write_end(sandbox_code + size, SANDBOX_CODE + size, 100);
    if (SANDBOX_CODE + size + 16 > SANDBOX_PAD(0))
        abort();
    for (unsigned char i = 0; i < SANDBOX_PADS; i++)
        write_end(sandbox_code + (SANDBOX_PAD(i) - SANDBOX_CODE), SANDBOX_PAD(i), 1 + i);
    return size + 13;
}

static uint64_t choose_value(void)
{
    switch (next() % 4) {
    case 0:
        return next() % 64;
    case 1:
        return -(next() % 64);
    case 2:
        return SANDBOX_DATA + 256 + next() % 2048;
    default:
        return next() << 32 | (next() & 0xffffffff);
    }
}

struct world {
    struct sandbox_state state;
    unsigned char data[SANDBOX_DATA_SIZE], stack[SANDBOX_STACK_SIZE];
};

static void choose_world(struct world *world)
{
    for (size_t i = 0; i < sizeof world->data; i += 8) {
        uint64_t value = choose_value();
        memcpy(world->data + i, &value, sizeof value);
    }
    memset(world->stack, 0x5a, sizeof world->stack);
    for (int i = 0; i < 16; i++)
        world->state.registers[i] = choose_value();
    world->state.registers[RSP] = SANDBOX_STACK + SANDBOX_STACK_SIZE / 2;
    world->state.registers[15] = SANDBOX_POINTERS;
    world->state.flags = (next() & 0x8d5) | 0x202;
    for (size_t i = 0; i < sizeof world->state.vectors; i++)
        world->state.vectors[i] = byte();
}

static void run(struct world *world, uint64_t entry)
{
    memcpy((void *)SANDBOX_DATA, world->data, sizeof world->data);
    memcpy((void *)SANDBOX_STACK, world->stack, sizeof world->stack);
    sandbox_run(&world->state, entry);
    memcpy(world->data, (void *)SANDBOX_DATA, sizeof world->data);
    memcpy(world->stack, (void *)SANDBOX_STACK, sizeof world->stack);
}

/* Below the stack a relocated call may leave its target. */
static void forget(struct world *world, uint64_t address)
{
    for (uint64_t at = address; at < address + 8; at++)
        if (at - SANDBOX_DATA < sizeof world->data)
            world->data[at - SANDBOX_DATA] = 0;
        else if (at - SANDBOX_STACK < sizeof world->stack)
            world->stack[at - SANDBOX_STACK] = 0;
}

static uint64_t source_of(const struct relocated *relocated, uint64_t address)
{
    uint8_t source = 0;
    if (address - SANDBOX_MOVED >= relocated->size)
        return address;
    for (unsigned i = 0; i < relocated->mark_count; i++)
        if (address - SANDBOX_MOVED >= relocated->marks[i].at)
            source = relocated->marks[i].source;
    return source == MARK_CALLEE ? relocated->callee : SANDBOX_CODE + source;
}

static void fail(const char *what, const struct relocated *relocated, size_t size)
{
    fprintf(stderr, "%s differs\n.byte ", what);
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, "0x%02x,", sandbox_code[i]);
    fprintf(stderr, " # relocated\n.byte ");
    for (size_t i = 0; i < relocated->size; i++)
        fprintf(stderr, "0x%02x,", relocated->bytes[i]);
    fprintf(stderr, "\n");
    abort();
}

static uint64_t functions, faults, refused, wild;

static void compare_one(void)
{
    static struct world first, second;
    struct relocated relocated;
    struct displaced displaced;
    size_t size = write_function();
    const struct code code = {sandbox_code, size, size, SANDBOX_CODE};
    if (relocate_find(&displaced, &code) != PATCH_FINE) {
        refused++; /* a call among the first */
        return;
    }
    if (relocate(&relocated, &displaced, &code, SANDBOX_MOVED, SANDBOX_MOVED + LITERAL) !=
        PATCH_FINE)
        fail("possible", &relocated, size);
    memcpy(sandbox_moved, relocated.bytes, relocated.size);
    memcpy(sandbox_moved + LITERAL, &relocated.returns, sizeof relocated.returns);
    choose_world(&first);
    second = first;
    run(&first, SANDBOX_CODE);
    run(&second, SANDBOX_MOVED);
    struct sandbox_state *one = &first.state, *two = &second.state;
    functions++;
    faults += one->signal != 0;
    if (two->stopped_at != 0 && two->stopped_at != SANDBOX_CODE &&
        source_of(&relocated, two->stopped_at) == relocated.callee) {
        wild++; /* a call to no address: it faults after its push */
        return;
    }
    if (one->signal != two->signal || one->stopped_at != source_of(&relocated, two->stopped_at) ||
        one->address != two->address)
        fail("end", &relocated, size);
    if (memcmp(one->registers, two->registers, sizeof one->registers) != 0)
        fail("register", &relocated, size);
    if (one->flags != two->flags)
        fail("flag", &relocated, size);
    if (memcmp(one->vectors, two->vectors, sizeof one->vectors) != 0)
        fail("vector", &relocated, size);
    if (relocated.returns != 0) {
        forget(&first, one->registers[RSP] - 8);
        forget(&second, one->registers[RSP] - 8);
    }
    if (memcmp(first.data, second.data, sizeof first.data) != 0)
        fail("memory", &relocated, size);
    if (memcmp(first.stack, second.stack, sizeof first.stack) != 0)
        fail("stack", &relocated, size);
}

static void report(void)
{
    fprintf(stderr, "%lu functions alike, of which %lu fault; %lu refused, %lu call wildly\n",
            functions - wild, faults - wild, refused, wild);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        static struct options options;
        options_default(&options);
        output_start(&options, (char *[]){NULL});
        started = true;
        sandbox_start();
        atexit(report);
        if (!patch_start())
            abort();
    }
    (void)patch_judge(data, size, size, (uintptr_t)data);
    state = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < size; i++)
        state = (state ^ data[i]) * UINT64_C(0x100000001b3);
    state |= 1;
    compare_one();
    return 0;
}
