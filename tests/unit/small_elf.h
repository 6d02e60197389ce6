/* Small ELF: a program of a few hundred bytes with all that the readers of ELF files look at. Used
 * by test_elf.c and test_functions.c, and written to a file as a seed for the fuzzers. */
#ifndef OUTLIVE_TESTS_SMALL_ELF_H
#define OUTLIVE_TESTS_SMALL_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SMALL_ELF_BASE 0x1000
#define SMALL_ELF_ADDRESS(member) (SMALL_ELF_BASE + offsetof(struct small_elf, member))

enum {
    SMALL_ELF_SYMTAB = 1,
    SMALL_ELF_STRTAB,
    SMALL_ELF_EH_FRAME,
    SMALL_ELF_BUILD_ID,
    SMALL_ELF_DEBUG_LINK,
    SMALL_ELF_DYNSYM,
    SMALL_ELF_TEXT,
    SMALL_ELF_SECTIONS
};

/* Offsets into strings. */
enum {
    SMALL_ELF_NEEDED = 1,
    SMALL_ELF_FIRST_NAME = 32,
    SMALL_ELF_SECOND_NAME = 48,
    SMALL_ELF_NAMES = 64 /* of sections, one after the other */
};

struct small_elf_frame {
    uint32_t length, back;
    unsigned char bytes[24];
};

struct small_elf_common {
    uint32_t length, zero;
    unsigned char version;
    char bytes[23]; /* augmentation, alignments, return register, what the augmentation adds */
};

struct small_elf {
    Elf64_Ehdr header;
    Elf64_Phdr segments[5];
    Elf64_Dyn dynamic[6];
    Elf64_Shdr sections[SMALL_ELF_SECTIONS];
    Elf64_Sym symbols[4];
    Elf64_Sym dynamic_symbols[3];
    uint32_t hash[8]; /* DT_GNU_HASH: header, one word of its filter, one bucket, two chains */
    char interpreter[32];
    char strings[192];
    struct {
        Elf64_Nhdr header;
        char name[4];
        unsigned char id[20];
    } build_id;
    struct {
        char name[12];
        uint32_t crc;
    } debug_link;
    struct {
        unsigned char version, encodings[3];
        int32_t frames;
    } frame_header;
    struct {
        struct small_elf_common relative; /* zPLR */
        struct small_elf_frame a;
        struct small_elf_common wide; /* zRS, 8 bytes */
        struct small_elf_frame b;
        struct small_elf_common strange; /* not to be understood */
        struct small_elf_frame c;
        struct small_elf_common whole; /* no augmentation: addresses as they are */
        struct small_elf_frame d;
        struct small_elf_frame e; /* of the first common part again */
        struct {
            uint32_t mark;
            unsigned char length[8]; /* of 64 bits */
            uint32_t back;
            unsigned char bytes[16];
        } f;
        uint32_t end;
        uint32_t padding;
    } frames;
    unsigned char code[64];
};

static inline void small_elf_common(struct small_elf_common *common, const char *bytes, size_t size)
{
    common->length = sizeof *common - sizeof common->length;
    common->version = 1;
    memcpy(common->bytes, bytes, size);
}

static inline void small_elf_frame(struct small_elf_frame *frame,
                                   const struct small_elf_common *common, size_t start,
                                   size_t start_size, size_t size)
{
    frame->length = sizeof *frame - sizeof frame->length;
    frame->back = (uint32_t)((char *)&frame->back - (const char *)common);
    memcpy(frame->bytes, &start, start_size);
    memcpy(frame->bytes + start_size, &size, start_size);
}

static inline void small_elf_frames(struct small_elf *elf)
{
    size_t code = SMALL_ELF_ADDRESS(code);
    small_elf_common(&elf->frames.relative, "zPLR\0\1\x78\x10\7\x9b\0\0\0\0\x1b\x1b", 16);
    small_elf_common(&elf->frames.wide, "zRS\0\1\x78\x10\1\x1c", 9);
    small_elf_common(&elf->frames.strange, "zX\0\1\x78\x10\1\x1b", 8);
    small_elf_common(&elf->frames.whole, "\0\1\x78\x10", 4);
    small_elf_frame(&elf->frames.a, &elf->frames.relative, code - SMALL_ELF_ADDRESS(frames.a.bytes),
                    4, 8);
    small_elf_frame(&elf->frames.b, &elf->frames.wide, code + 8 - SMALL_ELF_ADDRESS(frames.b.bytes),
                    8, 9);
    small_elf_frame(&elf->frames.c, &elf->frames.strange, 0, 4, 10);
    small_elf_frame(&elf->frames.d, &elf->frames.whole, code + 24, 8, 11);
    small_elf_frame(&elf->frames.e, &elf->frames.relative,
                    code + 32 - SMALL_ELF_ADDRESS(frames.e.bytes), 4, 12);
    elf->frames.f.mark = UINT32_MAX;
    elf->frames.f.length[0] = 20;
    elf->frames.f.back =
        offsetof(struct small_elf, frames.f.back) - offsetof(struct small_elf, frames.relative);
    int32_t start = (int32_t)(code + 48 - SMALL_ELF_ADDRESS(frames.f.bytes)), size = 13;
    memcpy(elf->frames.f.bytes, &start, sizeof start);
    memcpy(elf->frames.f.bytes + 4, &size, sizeof size);
    elf->frame_header.version = 1;
    memcpy(elf->frame_header.encodings, "\x1b\x03\x3b", 3);
    elf->frame_header.frames =
        (int32_t)(SMALL_ELF_ADDRESS(frames) - SMALL_ELF_ADDRESS(frame_header.frames));
}

static inline uint32_t small_elf_name(struct small_elf *elf, size_t *used, const char *name)
{
    uint32_t at = (uint32_t)*used;
    strcpy(elf->strings + at, name);
    *used += strlen(name) + 1;
    return at;
}

#define SMALL_ELF_SECTION(kind, member)                                                            \
    .sh_type = (kind), .sh_addr = SMALL_ELF_ADDRESS(member),                                       \
    .sh_offset = offsetof(struct small_elf, member),                                               \
    .sh_size = sizeof((struct small_elf *)0)->member
#define SMALL_ELF_SEGMENT(kind, member)                                                            \
    {                                                                                              \
        .p_type = (kind), .p_vaddr = SMALL_ELF_ADDRESS(member),                                    \
        .p_offset = offsetof(struct small_elf, member),                                            \
        .p_filesz = sizeof((struct small_elf *)0)->member                                          \
    }

static inline void small_elf_make(struct small_elf *elf)
{
    size_t code = SMALL_ELF_ADDRESS(code), names = SMALL_ELF_NAMES;
    *elf = (struct small_elf){
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_phoff = offsetof(struct small_elf, segments),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 5,
                   .e_shoff = offsetof(struct small_elf, sections),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = SMALL_ELF_SECTIONS,
                   .e_shstrndx = SMALL_ELF_STRTAB},
        .segments = {{.p_type = PT_LOAD,
                      .p_vaddr = SMALL_ELF_BASE,
                      .p_flags = PF_R | PF_X,
                      .p_filesz = sizeof(struct small_elf)},
                     SMALL_ELF_SEGMENT(PT_INTERP, interpreter),
                     SMALL_ELF_SEGMENT(PT_DYNAMIC, dynamic),
                     SMALL_ELF_SEGMENT(PT_NOTE, build_id),
                     SMALL_ELF_SEGMENT(PT_GNU_EH_FRAME, frame_header)},
        .dynamic = {{DT_NEEDED, {.d_val = SMALL_ELF_NEEDED}},
                    {DT_STRTAB, {.d_ptr = SMALL_ELF_ADDRESS(strings)}},
                    {DT_STRSZ, {.d_val = sizeof elf->strings}},
                    {DT_SYMTAB, {.d_ptr = SMALL_ELF_ADDRESS(dynamic_symbols)}},
                    {DT_GNU_HASH, {.d_ptr = SMALL_ELF_ADDRESS(hash)}},
                    {DT_NULL, {0}}},
        .sections = {{0},
                     {SMALL_ELF_SECTION(SHT_SYMTAB, symbols), .sh_link = SMALL_ELF_STRTAB},
                     {SMALL_ELF_SECTION(SHT_STRTAB, strings)},
                     {SMALL_ELF_SECTION(SHT_PROGBITS, frames)},
                     {SMALL_ELF_SECTION(SHT_NOTE, build_id)},
                     {SMALL_ELF_SECTION(SHT_PROGBITS, debug_link)},
                     {SMALL_ELF_SECTION(SHT_DYNSYM, dynamic_symbols), .sh_link = SMALL_ELF_STRTAB},
                     {SMALL_ELF_SECTION(SHT_PROGBITS, code)}},
        .symbols = {{0},
                    {.st_name = SMALL_ELF_FIRST_NAME,
                     .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                     .st_shndx = 1,
                     .st_value = code,
                     .st_size = 8},
                    {.st_name = SMALL_ELF_SECOND_NAME,
                     .st_info = ELF64_ST_INFO(STB_LOCAL, STT_GNU_IFUNC),
                     .st_shndx = 1,
                     .st_value = code + 8,
                     .st_size = 9},
                    {.st_name = SMALL_ELF_NEEDED,
                     .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
                     .st_shndx = 1,
                     .st_value = code}},
        .dynamic_symbols = {{0},
                            {.st_name = SMALL_ELF_NEEDED,
                             .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)},
                            {.st_name = SMALL_ELF_FIRST_NAME,
                             .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                             .st_shndx = 1,
                             .st_value = code,
                             .st_size = 8}},
        .hash = {1, 2, 1, 0, 0, 0, 2, 1},
        .interpreter = "/lib64/ld-linux-x86-64.so.2",
        .build_id = {{4, 20, NT_GNU_BUILD_ID}, "GNU", {0xab, 0xcd}},
        .debug_link = {"small.debug", 0x12345678},
    };
    memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
    elf->header.e_ident[EI_CLASS] = ELFCLASS64;
    elf->header.e_ident[EI_DATA] = ELFDATA2LSB;
    strcpy(elf->strings + SMALL_ELF_NEEDED, "libc.so.6");
    strcpy(elf->strings + SMALL_ELF_FIRST_NAME, "main");
    strcpy(elf->strings + SMALL_ELF_SECOND_NAME, "by_resolver");
    elf->sections[SMALL_ELF_EH_FRAME].sh_name = small_elf_name(elf, &names, ".eh_frame");
    elf->sections[SMALL_ELF_BUILD_ID].sh_name = small_elf_name(elf, &names, ".note.gnu.build-id");
    elf->sections[SMALL_ELF_DEBUG_LINK].sh_name = small_elf_name(elf, &names, ".gnu_debuglink");
    elf->sections[SMALL_ELF_TEXT].sh_name = small_elf_name(elf, &names, ".text");
    small_elf_frames(elf);
}

#endif
