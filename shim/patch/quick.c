/* Quick: see quick.h. Opcodes as in Intel SDM volume 2, appendix A, tables. */
#include "patch/quick.h"

enum {
    KNOWN = 1,
    MODRM = 2,
    BYTE = 4,      /* an immediate of one byte */
    WORD = 8,      /* of four bytes; of two after a 66 */
    RELATIVE = 16, /* the immediate leads to a branch's target */
    ALONE = 32,    /* without prefixes only */
    GROUP = 64,    /* see group_row() */
    NO_66 = 128,   /* other prefixes are as REX */
};

static const uint8_t one_byte[256] = {
#define ARITHMETIC(first) [first... first + 3] = MODRM, [first + 4] = BYTE, [first + 5] = WORD
    ARITHMETIC(0x00),
    ARITHMETIC(0x08),
    ARITHMETIC(0x10),
    ARITHMETIC(0x18),
    ARITHMETIC(0x20),
    ARITHMETIC(0x28),
    ARITHMETIC(0x30),
    ARITHMETIC(0x38),
    [0x50 ... 0x5f] = KNOWN | NO_66, /* push, pop */
    [0x63] = MODRM,                  /* movsxd */
    [0x68] = WORD | NO_66,           /* push */
    [0x69] = MODRM | WORD,           /* imul */
    [0x6a] = BYTE | NO_66,
    [0x6b] = MODRM | BYTE,
    [0x70 ... 0x7f] = BYTE | RELATIVE | ALONE, /* jcc */
    [0x80] = MODRM | BYTE,
    [0x81] = MODRM | WORD,
    [0x83] = MODRM | BYTE,
    [0x84 ... 0x8b] = MODRM, /* test, xchg, mov */
    [0x8d] = MODRM | GROUP,  /* lea */
    [0x90] = KNOWN | ALONE,  /* nop */
    [0x98 ... 0x99] = KNOWN, /* cdqe, cqo */
    [0xa8] = BYTE,           /* test */
    [0xa9] = WORD,           /* test */
    [0xb0 ... 0xb7] = BYTE,  /* mov */
    [0xb8 ... 0xbf] = WORD | NO_66 | GROUP,
    [0xc0 ... 0xc1] = MODRM | BYTE | GROUP, /* shifts */
    [0xc3] = KNOWN | ALONE,                 /* ret */
    [0xc6] = MODRM | BYTE | GROUP,          /* mov */
    [0xc7] = MODRM | WORD | GROUP,
    [0xc9] = KNOWN | ALONE,                    /* leave */
    [0xcc] = KNOWN | ALONE,                    /* int3 */
    [0xd0 ... 0xd3] = MODRM | GROUP,           /* shifts */
    [0xe8 ... 0xe9] = WORD | RELATIVE | ALONE, /* call, jmp */
    [0xeb] = BYTE | RELATIVE | ALONE,
    [0xf6 ... 0xf7] = MODRM | GROUP, /* test, not, neg, mul, div */
    [0xfe ... 0xff] = MODRM | GROUP, /* inc, dec, push */
};

static const uint8_t two_bytes[256] = {
    [0x0b] = KNOWN | ALONE, /* ud2 */
    [0x10 ... 0x11] = MODRM,
    [0x1f] = MODRM | GROUP, /* nop */
    [0x28 ... 0x2a] = MODRM,
    [0x2c ... 0x2f] = MODRM,
    [0x40 ... 0x4f] = MODRM, /* cmov */
    [0x51] = MODRM,
    [0x54 ... 0x6f] = MODRM,
    [0x70] = MODRM | BYTE,
    [0x74 ... 0x76] = MODRM,
    [0x7e ... 0x7f] = MODRM,
    [0x80 ... 0x8f] = WORD | RELATIVE | ALONE, /* jcc */
    [0x90 ... 0x9f] = MODRM,                   /* setcc */
    [0xa3] = MODRM,                            /* bt */
    [0xa4] = MODRM | BYTE,                     /* shld */
    [0xa5] = MODRM,
    [0xab] = MODRM,
    [0xac] = MODRM | BYTE,
    [0xad] = MODRM,
    [0xaf] = MODRM,          /* imul */
    [0xb6 ... 0xb7] = MODRM, /* movzx */
    [0xba] = MODRM | BYTE | GROUP,
    [0xbe ... 0xbf] = MODRM, /* movsx */
    [0xd4] = MODRM,
    [0xef] = MODRM,
    [0xfa ... 0xfb] = MODRM,
    [0xfd ... 0xfe] = MODRM,
};

/* Which of no prefix (1), 66 (2), f3 (4) and f2 (8) make an instruction of it. */
static const uint8_t two_bytes_prefixes[256] = {
    [0x0b] = 1,          [0x10 ... 0x11] = 15, [0x1f] = 3,           [0x28 ... 0x29] = 3,
    [0x2a] = 12,         [0x2c ... 0x2d] = 12, [0x2e ... 0x2f] = 3,  [0x40 ... 0x4f] = 3,
    [0x51] = 15,         [0x54 ... 0x57] = 3,  [0x58 ... 0x5a] = 15, [0x5c ... 0x5f] = 15,
    [0x60 ... 0x6d] = 2, [0x6e] = 2,           [0x6f] = 6,           [0x70] = 14,
    [0x74 ... 0x76] = 2, [0x7e] = 6,           [0x7f] = 6,           [0x80 ... 0x8f] = 1,
    [0x90 ... 0x9f] = 1, [0xa3 ... 0xa5] = 3,  [0xab ... 0xad] = 3,  [0xaf] = 3,
    [0xb6 ... 0xb7] = 3, [0xba] = 3,           [0xbe ... 0xbf] = 3,  [0xd4] = 2,
    [0xef] = 2,          [0xfa ... 0xfb] = 2,  [0xfd ... 0xfe] = 2,
};

/* The row of an opcode that depends on more; 0: another one. */
static unsigned group_row(unsigned row, unsigned opcode, bool two, unsigned modrm)
{
    unsigned group = modrm >> 3 & 7;
    row &= ~(unsigned)GROUP;
    if (two)
        return opcode == 0xba ? (group >= 4 ? row : 0) : (group == 0 ? row : 0);
    switch (opcode) {
    case 0x8d:
        return modrm < 0xc0 ? row : 0;
    case 0xc6:
    case 0xc7:
        return group == 0 ? row : 0;
    case 0xf6:
        return group == 0 ? row | BYTE : group > 1 ? row : 0;
    case 0xf7:
        return group == 0 ? row | WORD : group > 1 ? row : 0;
    case 0xfe:
        return group < 2 ? row : 0;
    case 0xff:
        return group < 2 ? row : 0;
    default: /* shifts */
        return group != 6 ? row : 0;
    }
}

static enum instruction_kind kind_of(unsigned opcode, bool two)
{
    if (two)
        return opcode == 0x0b                     ? INSTRUCTION_TRAP
               : opcode >= 0x80 && opcode <= 0x8f ? INSTRUCTION_CONDITIONAL
                                                  : INSTRUCTION_PLAIN;
    switch (opcode) {
    case 0xc3:
        return INSTRUCTION_RETURN;
    case 0xcc:
        return INSTRUCTION_BREAKPOINT;
    case 0xe8:
        return INSTRUCTION_CALL;
    case 0xe9:
    case 0xeb:
        return INSTRUCTION_JUMP;
    default:
        return opcode >= 0x70 && opcode <= 0x7f ? INSTRUCTION_CONDITIONAL : INSTRUCTION_PLAIN;
    }
}

/* The bytes of ModRM, SIB and displacement. */
static unsigned operand_length(const unsigned char *modrm)
{
    unsigned mode = modrm[0] >> 6, rm = modrm[0] & 7, length = 1;
    if (mode == 3)
        return length;
    if (rm == 4) {
        length++;
        if (mode == 0 && (modrm[1] & 7) == 5)
            length += 4;
    }
    if (mode == 0 && rm == 5)
        length += 4;
    return length + (mode == 1 ? 1 : mode == 2 ? 4 : 0);
}

static int32_t read_distance(const unsigned char *at)
{
    int32_t distance;
    __builtin_memcpy(&distance, at, sizeof distance);
    return distance;
}

bool quick_decode(struct instruction *instruction, const unsigned char *code)
{
    const unsigned char *at = code;
    unsigned prefix = 1, rex = 0;
    if (*at == 0x66 || *at == 0xf3 || *at == 0xf2)
        prefix = *at == 0x66 ? 2 : *at == 0xf3 ? 4 : 8, at++;
    if ((*at & 0xf0) == 0x40)
        rex = *at++;
    bool two = *at == 0x0f;
    at += two;
    unsigned opcode = *at++, row = two ? two_bytes[opcode] : one_byte[opcode];
    if (two ? (two_bytes_prefixes[opcode] & prefix) == 0 : prefix > 2)
        return false;
    if ((row & GROUP) != 0 && (row & MODRM) != 0)
        row = group_row(row, opcode, two, *at);
    if (row == 0 || ((row & ALONE) != 0 && at != code + 1 + two) ||
        ((row & NO_66) != 0 && prefix == 2))
        return false;
    *instruction = (struct instruction){.opcode = (uint8_t)opcode,
                                        .kind = (uint8_t)kind_of(opcode, two),
                                        .is_lea = !two && opcode == 0x8d,
                                        .is_nop = opcode == (two ? 0x1f : 0x90)};
    if ((row & MODRM) != 0) {
        instruction->modrm_at = (uint8_t)(at - code);
        if ((*at & 0xc7) == 5) {
            instruction->rip_at = (uint8_t)(at + 1 - code);
            instruction->relative = read_distance(at + 1);
        }
        at += operand_length(at);
    }
    if ((row & RELATIVE) != 0) {
        instruction->branches = true;
        instruction->relative = (row & BYTE) != 0 ? (int8_t)*at : read_distance(at);
    }
    if ((row & BYTE) != 0)
        at++;
    if ((row & WORD) != 0)
        at += (rex & 8) != 0 && (row & GROUP) != 0 ? 8 : (rex & 8) == 0 && prefix == 2 ? 2 : 4;
    instruction->length = (uint8_t)(at - code);
    return true;
}
