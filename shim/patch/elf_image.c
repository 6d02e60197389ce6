/* ELF image: see elf_image.h. Called by functions.c, module_file.c and the command's `scan` and
 * `run`. Every offset and length is the file's word, and believed only after a check; every loop is
 * bounded by the file's size or by a constant. */
#include "patch/elf_image.h"

/* The kernel loads no program with more headers than fit 64 KiB (load_elf_phdrs). */
#define SEGMENTS_MOST (65536 / sizeof(Elf64_Phdr))

const unsigned char *elf_image_bytes(const struct elf_image *image, uint64_t offset,
                                     uint64_t length)
{
    if (offset > image->size || length > image->size - offset)
        return NULL;
    return image->bytes + offset;
}

static bool take(const struct elf_image *image, uint64_t offset, void *into, size_t length)
{
    const unsigned char *from = elf_image_bytes(image, offset, length);
    if (from != NULL)
        __builtin_memcpy(into, from, length);
    return from != NULL;
}

/* Cut behind the last NUL, so that no string in it needs a look for its end. */
static struct elf_strings strings_in(const unsigned char *bytes, uint64_t size)
{
    while (bytes != NULL && size > 0 && bytes[size - 1] != '\0')
        size--;
    return (struct elf_strings){(const char *)bytes, bytes == NULL ? 0 : (size_t)size};
}

const char *elf_strings_at(const struct elf_strings *strings, uint64_t offset)
{
    return offset < strings->size ? strings->start + offset : "";
}

/* Large counts stand in section 0 (gABI, "ELF Header": e_shnum, e_shstrndx). Section headers that
 * the file does not hold are as good as stripped: the loader never reads them. */
static void find_sections(struct elf_image *image)
{
    const Elf64_Ehdr *header = &image->header;
    Elf64_Shdr first;
    if (header->e_shoff == 0 || header->e_shentsize != sizeof first ||
        !take(image, header->e_shoff, &first, sizeof first))
        return;
    uint64_t count = header->e_shnum != 0 ? header->e_shnum : first.sh_size;
    uint32_t names = header->e_shstrndx != SHN_XINDEX ? header->e_shstrndx : first.sh_link;
    if (count > (image->size - header->e_shoff) / sizeof first || count > UINT32_MAX)
        return;
    image->sections = (unsigned)count;
    if (names != SHN_UNDEF && elf_image_section(image, names, &first) &&
        first.sh_type == SHT_STRTAB)
        image->names =
            strings_in(elf_image_bytes(image, first.sh_offset, first.sh_size), first.sh_size);
}

bool elf_image_open(struct elf_image *image, const unsigned char *bytes, size_t size)
{
    *image = (struct elf_image){.bytes = bytes, .size = size};
    const Elf64_Ehdr *header = &image->header;
    if (!take(image, 0, &image->header, sizeof *header) ||
        __builtin_memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64)
        return false;
    if (header->e_phnum != 0 &&
        (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > SEGMENTS_MOST ||
         elf_image_bytes(image, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)) == NULL))
        return false;
    find_sections(image);
    return true;
}

bool elf_image_segment(const struct elf_image *image, unsigned number, Elf64_Phdr *segment)
{
    return number < image->header.e_phnum &&
           take(image, image->header.e_phoff + number * sizeof *segment, segment, sizeof *segment);
}

bool elf_image_section(const struct elf_image *image, unsigned number, Elf64_Shdr *section)
{
    return number < image->sections &&
           take(image, image->header.e_shoff + number * sizeof *section, section, sizeof *section);
}

const char *elf_image_section_name(const struct elf_image *image, const Elf64_Shdr *section)
{
    return elf_strings_at(&image->names, section->sh_name);
}

static bool equal(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right)
        left++, right++;
    return *left == *right;
}

bool elf_image_section_named(const struct elf_image *image, const char *name, Elf64_Shdr *section)
{
    for (unsigned i = 1; elf_image_section(image, i, section); i++)
        if (equal(elf_image_section_name(image, section), name))
            return true;
    return false;
}

/* All that the file holds of the segment from this address on. */
static const unsigned char *rest_of_segment(const struct elf_image *image, uint64_t address,
                                            uint64_t *room)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz) {
            uint64_t into = address - segment.p_vaddr;
            *room = segment.p_filesz - into;
            if (segment.p_offset > image->size || into > image->size - segment.p_offset)
                return NULL;
            if (*room > image->size - segment.p_offset - into)
                *room = image->size - segment.p_offset - into;
            return image->bytes + segment.p_offset + into;
        }
    return NULL;
}

const unsigned char *elf_image_at(const struct elf_image *image, uint64_t address, size_t length)
{
    uint64_t room;
    const unsigned char *bytes = rest_of_segment(image, address, &room);
    return bytes == NULL || length > room ? NULL : bytes;
}

static uint32_t word_at(const unsigned char *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

/* The count of dynamic symbols stands in neither hash table's header but DT_HASH's; in DT_GNU_HASH
 * the last one is at the end of the chain of the highest bucket. */
static uint64_t count_by_hash(const struct elf_image *image, const struct elf_dynamic *dynamic)
{
    uint64_t address, room;
    const unsigned char *table;
    if (elf_dynamic_value(dynamic, DT_HASH, &address) &&
        (table = rest_of_segment(image, address, &room)) != NULL && room >= 8)
        return word_at(table + 4);
    if (!elf_dynamic_value(dynamic, DT_GNU_HASH, &address) ||
        (table = rest_of_segment(image, address, &room)) == NULL || room < 16)
        return 0;
    uint64_t buckets = word_at(table), first = word_at(table + 4);
    uint64_t at = 16 + 8 * (uint64_t)word_at(table + 8), last = 0;
    for (; buckets > 0 && room >= 4 && at <= room - 4; buckets--, at += 4)
        if (word_at(table + at) > last)
            last = word_at(table + at);
    if (last < first)
        return first; /* none is exported: those before are the imported ones */
    for (at += 4 * (last - first); room >= 4 && at <= room - 4; at += 4, last++)
        if ((word_at(table + at) & 1) != 0)
            return last + 1;
    return 0;
}

static bool symbols_by_loader(const struct elf_image *image, struct elf_symbols *symbols)
{
    struct elf_dynamic dynamic;
    uint64_t address, room;
    if (!elf_image_dynamic(image, &dynamic) || !elf_dynamic_value(&dynamic, DT_SYMTAB, &address) ||
        (symbols->entries = rest_of_segment(image, address, &room)) == NULL)
        return false;
    uint64_t count = count_by_hash(image, &dynamic);
    uint64_t most = room / sizeof(Elf64_Sym);
    symbols->count = (size_t)(count < most ? count : most);
    symbols->strings = dynamic.strings;
    return symbols->count > 0;
}

bool elf_image_symbols(const struct elf_image *image, unsigned type, struct elf_symbols *symbols)
{
    Elf64_Shdr table, strings;
    for (unsigned i = 1; elf_image_section(image, i, &table); i++) {
        if (table.sh_type != type ||
            (table.sh_entsize != sizeof(Elf64_Sym) && table.sh_entsize != 0))
            continue;
        symbols->entries = elf_image_bytes(image, table.sh_offset, table.sh_size);
        symbols->count = (size_t)(table.sh_size / sizeof(Elf64_Sym));
        if (symbols->entries == NULL || !elf_image_section(image, table.sh_link, &strings) ||
            strings.sh_type != SHT_STRTAB)
            return false;
        symbols->strings =
            strings_in(elf_image_bytes(image, strings.sh_offset, strings.sh_size), strings.sh_size);
        return symbols->count > 0;
    }
    /* A separate debug file has the program headers, but not the bytes that they tell of. */
    return type == SHT_DYNSYM && image->sections == 0 && symbols_by_loader(image, symbols);
}

const char *elf_symbols_at(const struct elf_symbols *symbols, size_t number, Elf64_Sym *symbol)
{
    __builtin_memcpy(symbol, symbols->entries + number * sizeof *symbol, sizeof *symbol);
    return elf_strings_at(&symbols->strings, symbol->st_name);
}

bool elf_image_dynamic(const struct elf_image *image, struct elf_dynamic *dynamic)
{
    Elf64_Phdr segment = {0};
    Elf64_Dyn entry;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == PT_DYNAMIC)
            break;
    *dynamic = (struct elf_dynamic){NULL, 0, {NULL, 0}};
    if (segment.p_type != PT_DYNAMIC || segment.p_filesz == 0)
        return false;
    dynamic->entries = elf_image_bytes(image, segment.p_offset, segment.p_filesz);
    if (dynamic->entries == NULL)
        return false;
    size_t most = (size_t)(segment.p_filesz / sizeof entry);
    for (; dynamic->count < most; dynamic->count++) {
        elf_dynamic_at(dynamic, dynamic->count, &entry);
        if (entry.d_tag == DT_NULL)
            break;
    }
    uint64_t address, room, size;
    if (elf_dynamic_value(dynamic, DT_STRTAB, &address)) {
        const unsigned char *strings = rest_of_segment(image, address, &room);
        if (strings != NULL && elf_dynamic_value(dynamic, DT_STRSZ, &size) && size < room)
            room = size;
        dynamic->strings = strings_in(strings, strings == NULL ? 0 : room);
    }
    return true;
}

void elf_dynamic_at(const struct elf_dynamic *dynamic, size_t number, Elf64_Dyn *entry)
{
    __builtin_memcpy(entry, dynamic->entries + number * sizeof *entry, sizeof *entry);
}

bool elf_dynamic_value(const struct elf_dynamic *dynamic, int64_t tag, uint64_t *value)
{
    for (size_t i = 0; i < dynamic->count; i++) {
        Elf64_Dyn entry;
        elf_dynamic_at(dynamic, i, &entry);
        if (entry.d_tag == tag) {
            *value = entry.d_un.d_val;
            return true;
        }
    }
    return false;
}

/* Notes: gABI chapter 5, with the 4-byte alignment that everybody uses; the 8-byte ones of GNU
 * properties have lengths that are multiples of 8 anyway. */
size_t elf_build_id_in(const unsigned char *notes, uint64_t size,
                       unsigned char id[ELF_BUILD_ID_SIZE])
{
    Elf64_Nhdr note;
    while (notes != NULL && size >= sizeof note) {
        __builtin_memcpy(&note, notes, sizeof note);
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
        uint64_t data = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
        uint64_t whole = sizeof note + name + data;
        if (whole > size)
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            __builtin_memcmp(notes + sizeof note, "GNU", 4) == 0 && note.n_descsz != 0 &&
            note.n_descsz <= ELF_BUILD_ID_SIZE) {
            for (size_t i = 0; i < note.n_descsz; i++)
                id[i] = notes[sizeof note + name + i];
            return note.n_descsz;
        }
        notes += whole;
        size -= whole;
    }
    return 0;
}

size_t elf_image_build_id(const struct elf_image *image, unsigned char id[ELF_BUILD_ID_SIZE])
{
    Elf64_Shdr section;
    Elf64_Phdr segment;
    if (elf_image_section_named(image, ".note.gnu.build-id", &section) &&
        section.sh_type == SHT_NOTE)
        return elf_build_id_in(elf_image_bytes(image, section.sh_offset, section.sh_size),
                               section.sh_size, id);
    size_t length = 0;
    for (unsigned i = 0; length == 0 && elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == PT_NOTE)
            length = elf_build_id_in(elf_image_bytes(image, segment.p_offset, segment.p_filesz),
                                     segment.p_filesz, id);
    return length;
}

const char *elf_image_debug_link(const struct elf_image *image, uint32_t *crc)
{
    Elf64_Shdr section;
    if (!elf_image_section_named(image, ".gnu_debuglink", &section) ||
        section.sh_type != SHT_PROGBITS)
        return NULL;
    const unsigned char *bytes = elf_image_bytes(image, section.sh_offset, section.sh_size);
    for (uint64_t i = 0; bytes != NULL && i < section.sh_size; i++)
        if (bytes[i] == '\0') {
            uint64_t after = (i + 4) & ~UINT64_C(3);
            if (i == 0 || after > section.sh_size || section.sh_size - after < 4)
                return NULL;
            *crc = word_at(bytes + after);
            return (const char *)bytes;
        }
    return NULL;
}
