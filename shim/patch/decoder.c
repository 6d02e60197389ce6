/* Decoder: see decoder.h. */
#include "patch/decoder.h"

#include "base/output.h"
#include "patch/quick.h"

#include <Zydis/Decoder.h>
#include <dlfcn.h>

/* Zydis 4.0 and 4.1: their structs of decoded instructions are the same, their numbers of mnemonics
 * are not. */
static const char *const libraries[] = {"libZydis.so.4.0", "libZydis.so.4.1"};

static struct {
    ZyanStatus (*init)(ZydisDecoder *, ZydisMachineMode, ZydisStackWidth);
    ZyanStatus (*enable_mode)(ZydisDecoder *, ZydisDecoderMode, ZyanBool);
    ZyanStatus (*decode_instruction)(const ZydisDecoder *, ZydisDecoderContext *, const void *,
                                     ZyanUSize, ZydisDecodedInstruction *);
    union {
        ZydisDecoder decoder; /* longer in 4.0 than in 4.1 */
        unsigned char room[256];
    };
    bool tried, loaded, ready;
} zydis;

static bool load(void)
{
    void *library = NULL;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries && library == NULL; i++)
        library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
    const struct {
        void *pointer;
        const char *name;
    } wanted[] = {
        {&zydis.init, "ZydisDecoderInit"},
        {&zydis.enable_mode, "ZydisDecoderEnableMode"},
        {&zydis.decode_instruction, "ZydisDecoderDecodeInstruction"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *symbol = dlsym(library, wanted[i].name);
        if (symbol == NULL)
            return false;
        __builtin_memcpy(wanted[i].pointer, &symbol, sizeof symbol);
    }
    /* Raw fields are enough, and twice as fast. */
    return ZYAN_SUCCESS(
               zydis.init(&zydis.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
           ZYAN_SUCCESS(zydis.enable_mode(&zydis.decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE));
}

bool decoder_ready(void)
{
    return zydis.ready;
}

/* On a branch these bytes mean different things to Intel's and AMD's processors. */
static bool has_data16_without_rex_w(const ZydisDecodedInstruction *decoded)
{
    bool data16 = false;
    for (unsigned i = 0; i < decoded->raw.prefix_count; i++)
        data16 = data16 || decoded->raw.prefixes[i].value == 0x66;
    return data16 && decoded->raw.rex.W == 0;
}

static enum instruction_kind one_byte_kind(const ZydisDecodedInstruction *decoded)
{
    unsigned opcode = decoded->opcode;
    if (opcode >= 0x70 && opcode <= 0x7f)
        return INSTRUCTION_CONDITIONAL;
    switch (opcode) {
    case 0xe0: /* loopne */
    case 0xe1: /* loope */
    case 0xe2: /* loop */
    case 0xe3: /* jrcxz, jecxz */
        return INSTRUCTION_LOOP;
    case 0xe8:
        return INSTRUCTION_CALL;
    case 0xe9:
    case 0xeb:
        return INSTRUCTION_JUMP;
    case 0xc2:
    case 0xc3:
    case 0xca: /* retf */
    case 0xcb:
    case 0xcf: /* iret */
        return INSTRUCTION_RETURN;
    case 0xcc:
        return INSTRUCTION_BREAKPOINT;
    case 0xf4: /* hlt */
        return INSTRUCTION_TRAP;
    case 0xc7: /* xbegin: c7 /7 with a register, a branch at an abort */
        return decoded->raw.modrm.mod == 3 && decoded->raw.modrm.reg == 7 ? INSTRUCTION_FIXED
                                                                          : INSTRUCTION_PLAIN;
    case 0xff:
        switch (decoded->raw.modrm.reg) {
        case 2:
            return INSTRUCTION_CALL_INDIRECT;
        case 3: /* far */
            return INSTRUCTION_FIXED;
        case 4:
        case 5:
            return INSTRUCTION_JUMP_INDIRECT;
        default:
            return INSTRUCTION_PLAIN;
        }
    default:
        return INSTRUCTION_PLAIN;
    }
}

static enum instruction_kind kind_of(const ZydisDecodedInstruction *decoded)
{
    if (decoded->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return INSTRUCTION_PLAIN;
    if (decoded->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
        return one_byte_kind(decoded);
    if (decoded->opcode_map == ZYDIS_OPCODE_MAP_0F) {
        if (decoded->opcode >= 0x80 && decoded->opcode <= 0x8f)
            return INSTRUCTION_CONDITIONAL;
        if (decoded->opcode == 0x0b) /* ud2 */
            return INSTRUCTION_TRAP;
    }
    return INSTRUCTION_PLAIN;
}

/* 90 is pause after f3, and xchg with %r8 after some REX. */
static bool is_plain_nop(const ZydisDecodedInstruction *decoded)
{
    bool repeated = false;
    for (unsigned i = 0; i < decoded->raw.prefix_count; i++)
        repeated = repeated || decoded->raw.prefixes[i].value == 0xf3;
    return !repeated && decoded->raw.rex.B == 0;
}

bool decode_slowly(struct instruction *instruction, const unsigned char *code, size_t room)
{
    ZydisDecodedInstruction decoded;
    if (!zydis.loaded ||
        !ZYAN_SUCCESS(zydis.decode_instruction(&zydis.decoder, NULL, code, room, &decoded)))
        return false;
    *instruction = (struct instruction){.length = decoded.length, .opcode = decoded.opcode};
    instruction->kind = (uint8_t)kind_of(&decoded);
    if (decoded.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        bool one = decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
        bool two = decoded.opcode_map == ZYDIS_OPCODE_MAP_0F;
        instruction->is_lea = one && decoded.opcode == 0x8d;
        instruction->is_nop = (one && decoded.opcode == 0x90 && is_plain_nop(&decoded)) ||
                              (two && decoded.opcode == 0x1f);
    }
    if (decoded.raw.imm[0].is_relative) {
        instruction->branches = true;
        instruction->relative = decoded.raw.imm[0].value.s;
        if (instruction->kind == INSTRUCTION_PLAIN)
            instruction->kind = INSTRUCTION_FIXED; /* one that is not known here */
    }
    if ((instruction->branches || instruction->kind == INSTRUCTION_CALL_INDIRECT) &&
        has_data16_without_rex_w(&decoded))
        instruction->kind = INSTRUCTION_FIXED;
    if ((decoded.attributes & ZYDIS_ATTRIB_HAS_MODRM) == 0)
        return true;
    instruction->modrm_at = decoded.raw.modrm.offset;
    if (decoded.raw.modrm.mod != 0 || decoded.raw.disp.size != 32)
        return true;
    if (decoded.raw.modrm.rm == 5) {
        instruction->rip_at = decoded.raw.disp.offset;
        instruction->relative = decoded.raw.disp.value;
        if (decoded.address_width != 64) /* relative to eip */
            instruction->kind = INSTRUCTION_FIXED;
    } else if (instruction->kind == INSTRUCTION_JUMP_INDIRECT && decoded.raw.modrm.rm == 4) {
        instruction->table = (uint32_t)decoded.raw.disp.value;
    }
    return true;
}

/* Whether the library's structs are the headers'. */
static bool understands(void)
{
    static const unsigned char add[] = {0x48, 0x81, 0x05, 4, 3, 2, 1, 9, 9, 9, 9};
    static const unsigned char branch[] = {0x0f, 0x84, 4, 3, 2, 1};
    struct instruction instruction;
    return decode_slowly(&instruction, add, sizeof add) && instruction.length == sizeof add &&
           instruction.kind == INSTRUCTION_PLAIN && instruction.modrm_at == 2 &&
           instruction.rip_at == 3 && instruction.relative == 0x01020304 &&
           decode_slowly(&instruction, branch, sizeof branch) &&
           instruction.kind == INSTRUCTION_CONDITIONAL && instruction.relative == 0x01020304;
}

bool decoder_start(void)
{
    if (!zydis.tried) {
        zydis.tried = true;
        zydis.loaded = load();
        zydis.ready = zydis.loaded && understands();
        if (!zydis.ready)
            output_tell_once("cannot load libZydis 4 (install Debian's libzydis4.0): no function "
                             "can be patched",
                             NULL);
    }
    return zydis.ready;
}

bool decode(struct instruction *instruction, const unsigned char *code, size_t room)
{
    return (room >= INSTRUCTION_MOST && quick_decode(instruction, code)) ||
           decode_slowly(instruction, code, room);
}
