/* Atexit calls: see atexit_calls.h. x86-64 psABI, "Procedure Linkage Table"; Intel SDM, "CALL",
 * "JMP". A chance match needs four bytes that lead to one of a few addresses: one in a few billion
 * for each byte E8 or E9. */
#include "outlive/scan/atexit_calls.h"

#include <string.h>

#define SLOTS_MOST 4
#define STUBS_MOST 16

struct targets {
    uint64_t slots[SLOTS_MOST]; /* words that the loader fills with the function's address */
    size_t slot_count;
    uint64_t stubs[STUBS_MOST]; /* code that jumps by such a word */
    size_t stub_count;
};

static void find_slots(const struct elf_image *image, const struct elf_dynamic *dynamic,
                       int64_t table_tag, int64_t size_tag, const char *function,
                       struct targets *targets)
{
    struct elf_symbols symbols;
    uint64_t table, size;
    if (!elf_dynamic_value(dynamic, table_tag, &table) ||
        !elf_dynamic_value(dynamic, size_tag, &size) ||
        !elf_image_symbols(image, SHT_DYNSYM, &symbols))
        return;
    const unsigned char *entries = elf_image_at(image, table, size);
    for (uint64_t at = 0; entries != NULL && at + sizeof(Elf64_Rela) <= size;
         at += sizeof(Elf64_Rela)) {
        Elf64_Rela entry;
        Elf64_Sym symbol;
        memcpy(&entry, entries + at, sizeof entry);
        uint64_t type = ELF64_R_TYPE(entry.r_info), number = ELF64_R_SYM(entry.r_info);
        if ((type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT) && number < symbols.count &&
            targets->slot_count < SLOTS_MOST &&
            strcmp(elf_symbols_at(&symbols, (size_t)number, &symbol), function) == 0)
            targets->slots[targets->slot_count++] = entry.r_offset;
    }
}

static bool is_one_of(const uint64_t *addresses, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++)
        if (addresses[i] == address)
            return true;
    return false;
}

static uint64_t relative_at(const unsigned char *code, size_t at, uint64_t address)
{
    int32_t distance;
    memcpy(&distance, code + at, sizeof distance);
    return address + at + sizeof distance + (uint64_t)(int64_t)distance;
}

/* Finds `jmp *slot`, and notes where a call to it may lead: to it, to the `bnd` before it, or to an
 * `endbr64` before that. */
static void find_stubs(const unsigned char *code, size_t size, uint64_t address,
                       struct targets *targets)
{
    static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    for (size_t at = 0; at + 6 <= size; at++) {
        if (code[at] != 0xff || code[at + 1] != 0x25 ||
            !is_one_of(targets->slots, targets->slot_count, relative_at(code, at + 2, address)))
            continue;
        size_t start = at;
        if (targets->stub_count + 3 > STUBS_MOST)
            return;
        targets->stubs[targets->stub_count++] = address + start;
        if (start >= 1 && code[start - 1] == 0xf2)
            targets->stubs[targets->stub_count++] = address + --start;
        if (start >= 4 && memcmp(code + start - 4, endbr64, sizeof endbr64) == 0)
            targets->stubs[targets->stub_count++] = address + start - 4;
    }
}

static size_t count_in(const unsigned char *code, size_t size, uint64_t address,
                       const struct targets *targets)
{
    size_t count = 0;
    for (size_t at = 0; at + 6 <= size; at++) {
        if (code[at] == 0xe8 || code[at] == 0xe9)
            count +=
                is_one_of(targets->stubs, targets->stub_count, relative_at(code, at + 1, address));
        else if (code[at] == 0xff && code[at + 1] == 0x15)
            count +=
                is_one_of(targets->slots, targets->slot_count, relative_at(code, at + 2, address));
    }
    return count;
}

size_t count_calls(const struct elf_image *image, const char *function)
{
    struct targets targets = {.slot_count = 0};
    struct elf_dynamic dynamic;
    Elf64_Phdr segment;
    size_t count = 0;
    if (!elf_image_dynamic(image, &dynamic))
        return 0;
    find_slots(image, &dynamic, DT_JMPREL, DT_PLTRELSZ, function, &targets);
    find_slots(image, &dynamic, DT_RELA, DT_RELASZ, function, &targets);
    for (int pass = 0; pass < 2 && targets.slot_count > 0; pass++) {
        uint64_t read = 0; /* segments that lie over each other would be read many times */
        for (unsigned i = 0; read <= image->size && elf_image_segment(image, i, &segment); i++) {
            const unsigned char *code;
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 ||
                (code = elf_image_bytes(image, segment.p_offset, segment.p_filesz)) == NULL)
                continue;
            read += segment.p_filesz;
            if (pass == 0)
                find_stubs(code, segment.p_filesz, segment.p_vaddr, &targets);
            else
                count += count_in(code, segment.p_filesz, segment.p_vaddr, &targets);
        }
    }
    return count;
}
