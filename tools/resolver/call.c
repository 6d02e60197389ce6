/* Call: see call.h. x86-64 only. */
#include "call.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

bool module_bytes(struct module *module, uint64_t address, unsigned char *into, size_t size)
{
    Elf *elf = module_elf(module);
    size_t count = 0, file_size = 0;
    const char *file = elf == NULL ? NULL : elf_rawfile(elf, &file_size);
    if (file == NULL || elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count && i < 128; i++) {
        GElf_Phdr segment;
        if (gelf_getphdr(elf, (int)i, &segment) == NULL)
            return false;
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
            address - segment.p_vaddr >= segment.p_filesz)
            continue;
        uint64_t within = address - segment.p_vaddr;
        if (size > segment.p_filesz - within || segment.p_offset > file_size ||
            within > file_size - segment.p_offset || size > file_size - segment.p_offset - within)
            return false;
        memcpy(into, file + segment.p_offset + within, size);
        return true;
    }
    return false;
}

static const char *name_in(Elf *elf, Elf_Scn *symbols, const GElf_Rela *slot)
{
    GElf_Shdr header;
    GElf_Sym symbol;
    Elf_Data *data = symbols == NULL ? NULL : elf_getdata(symbols, NULL);
    if (data == NULL || gelf_getshdr(symbols, &header) == NULL ||
        gelf_getsym(data, (int)GELF_R_SYM(slot->r_info), &symbol) == NULL)
        return NULL;
    return elf_strptr(elf, header.sh_link, symbol.st_name);
}

/* The symbol whose address the loader writes into this slot. */
static const char *name_of_slot(struct module *module, uint64_t address)
{
    Elf *elf = module_elf(module);
    Elf_Scn *section = NULL;
    while (elf != NULL && (section = elf_nextscn(elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == NULL || header.sh_type != SHT_RELA)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        GElf_Rela slot;
        for (int i = 0; data != NULL && gelf_getrela(data, i, &slot) != NULL; i++) {
            uint64_t type = GELF_R_TYPE(slot.r_info);
            if (slot.r_offset == address &&
                (type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT))
                return name_in(elf, elf_getscn(elf, header.sh_link), &slot);
        }
    }
    return NULL;
}

static uint64_t add_displacement(uint64_t address, const unsigned char *bytes)
{
    int32_t displacement;
    memcpy(&displacement, bytes, sizeof displacement);
    return address + (uint64_t)(int64_t)displacement;
}

/* An entry of the procedure linkage table: [endbr64] [bnd] jmp *slot(%rip). */
static const char *name_of_stub(struct module *module, uint64_t address)
{
    static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    unsigned char bytes[11];
    size_t at = 0;
    if (!module_bytes(module, address, bytes, sizeof bytes))
        return NULL;
    if (memcmp(bytes, endbr64, sizeof endbr64) == 0)
        at = sizeof endbr64;
    if (bytes[at] == 0xf2)
        at++;
    if (at + 6 > sizeof bytes || bytes[at] != 0xff || bytes[at + 1] != 0x25)
        return NULL;
    return name_of_slot(module, add_displacement(address + at + 6, bytes + at + 2));
}

const char *called_before(struct module *module, uint64_t return_address)
{
    unsigned char bytes[6];
    if (return_address < sizeof bytes ||
        !module_bytes(module, return_address - sizeof bytes, bytes, sizeof bytes))
        return NULL;
    uint64_t target = add_displacement(return_address, bytes + 2);
    if (bytes[0] == 0xff && bytes[1] == 0x15) /* -fno-plt */
        return name_of_slot(module, target);
    if (bytes[1] != 0xe8)
        return NULL;
    const char *name = module_function_at(module, target);
    return name != NULL ? name : name_of_stub(module, target);
}

bool allocates_one_object(const char *name)
{
    if (name == NULL)
        return false;
    if (strncmp(name, "_Znw", 4) == 0 || strcmp(name, "malloc") == 0)
        return true;
    char *readable = demangled(name); /* a class may have its own */
    bool own = readable != NULL && strstr(readable, "::operator new(") != NULL;
    free(readable);
    return own;
}
