/* Operand: see operand.h. */
#include "capture/operand.h"

/* One-byte opcodes that have a ModRM byte, a bit each (Intel SDM volume 2, appendix A, table A-2).
 */
static bool has_modrm(unsigned opcode)
{
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    if (opcode < 0x60)
        return false;
    if (opcode < 0x70)
        return opcode == 0x63 || opcode == 0x69 || opcode == 0x6b;
    if (opcode < 0x80)
        return false;
    if (opcode < 0x90)
        return true;
    switch (opcode) {
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
        return true;
    default:
        return opcode >= 0xd8 && opcode <= 0xdf;
    }
}

/* Two-byte opcodes (0f xx) without a ModRM byte (table A-3). */
static bool lacks_modrm_0f(unsigned opcode)
{
    return (opcode >= 0x80 && opcode < 0x90) || (opcode >= 0xc8 && opcode < 0xd0) ||
           (opcode >= 0x30 && opcode < 0x38) || opcode == 0x05 || opcode == 0x06 ||
           opcode == 0x07 || opcode == 0x08 || opcode == 0x09 || opcode == 0x0b || opcode == 0x77 ||
           opcode == 0xa0 || opcode == 0xa1 || opcode == 0xa2 || opcode == 0xa8 || opcode == 0xa9 ||
           opcode == 0xaa;
}

static bool is_string_operation(unsigned opcode)
{
    return (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf) ||
           (opcode >= 0x6c && opcode <= 0x6f);
}

/* Of those that write memory the ones that read it as well: arithmetic, shifts, exchanges. */
static bool modifies_memory(unsigned opcode, unsigned group)
{
    if (opcode < 0x40)
        return (opcode & 7) < 2 && opcode < 0x38;
    switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x83:
        return group != 7;
    case 0x86:
    case 0x87:
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return true;
    case 0xf6:
    case 0xf7:
        return group == 2 || group == 3;
    default:
        return (opcode == 0xfe || opcode == 0xff) && group < 2;
    }
}

static bool modifies_memory_0f(unsigned opcode)
{
    switch (opcode) {
    case 0xa4: /* shifts of two registers' width */
    case 0xa5:
    case 0xac:
    case 0xad:
    case 0xab: /* bits */
    case 0xb3:
    case 0xba:
    case 0xbb:
    case 0xb0: /* cmpxchg */
    case 0xb1:
    case 0xc0: /* xadd */
    case 0xc1:
        return true;
    default:
        return false;
    }
}

bool operand_decode(const uint8_t *code, size_t size, struct operand *operand)
{
    size_t at = 0;
    unsigned rex = 0, opcode, extend_base = 0, extend_index = 0;
    bool simd = false, is_0f = false;
    *operand = (struct operand){.base = OPERAND_NONE, .index = OPERAND_NONE};
    while (at < size &&
           (code[at] == 0x66 || code[at] == 0x67 || code[at] == 0xf0 || code[at] == 0xf2 ||
            code[at] == 0xf3 || code[at] == 0x2e || code[at] == 0x36 || code[at] == 0x3e ||
            code[at] == 0x26 || code[at] == 0x64 || code[at] == 0x65))
        at++;
    if (at < size && (code[at] & 0xf0) == 0x40)
        rex = code[at++];
    extend_base = (rex & 1) << 3;
    extend_index = (rex & 2) << 2;
    if (at >= size)
        return false;
    opcode = code[at++];
    if (opcode == 0xc5 || opcode == 0xc4 || opcode == 0x62) { /* VEX and EVEX */
        size_t more = opcode == 0xc5 ? 1 : opcode == 0xc4 ? 2 : 3;
        if (at + more >= size)
            return false;
        if (opcode != 0xc5) {
            extend_base = (~code[at] & 0x20u) >> 2;
            extend_index = (~code[at] & 0x40u) >> 3;
        }
        at += more;
        opcode = code[at++];
        simd = true;
    } else if (opcode == 0x0f) {
        if (at >= size)
            return false;
        opcode = code[at++];
        if (opcode == 0x38 || opcode == 0x3a)
            at++;
        else if (lacks_modrm_0f(opcode))
            return false;
        else
            is_0f = true;
        simd = true; /* a ModRM byte follows for certain */
    } else if (is_string_operation(opcode)) {
        operand->is_string = true;
        return true;
    } else if (opcode == 0xc3 || opcode == 0xc2) {
        operand->is_return = true;
        return true;
    } else if (!has_modrm(opcode)) {
        return false;
    }
    if (at >= size)
        return false;
    unsigned modrm = code[at++], mode = modrm >> 6, rm = modrm & 7, group = modrm >> 3 & 7;
    operand->modifies =
        is_0f ? modifies_memory_0f(opcode) : !simd && modifies_memory(opcode, group);
    operand->is_call = !simd && opcode == 0xff && (group == 2 || group == 4);
    if (mode == 3) {
        operand->base = (int)(rm | extend_base);
        operand->is_register = true;
        return operand->is_call;
    }
    if (rm == 4) {
        if (at >= size)
            return false;
        unsigned sib = code[at], base = sib & 7, index = (sib >> 3 & 7) | extend_index;
        if (index != 4)
            operand->index = (int)index;
        if (!(base == 5 && mode == 0))
            operand->base = (int)(base | extend_base);
    } else if (!(rm == 5 && mode == 0)) {
        operand->base = (int)(rm | extend_base);
    }
    return true;
}
