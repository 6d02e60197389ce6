/* Functions: see functions.h. Called where entries are patched, and by `outlive scan`. */
#include "patch/functions.h"

#include "base/text.h"

static bool walk_symbols(const struct elf_symbols *symbols, function_visitor visit, void *context)
{
    for (size_t i = 0; i < symbols->count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(symbols, i, &symbol);
        unsigned type = ELF64_ST_TYPE(symbol.st_info);
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF ||
            symbol.st_value == 0)
            continue;
        struct function function = {symbol.st_value, symbol.st_size, name, type == STT_GNU_IFUNC};
        if (!visit(&function, context))
            return false;
    }
    return true;
}

bool functions_has_symtab(const struct elf_image *image)
{
    struct elf_symbols symbols;
    return elf_image_symbols(image, SHT_SYMTAB, &symbols);
}

bool functions_has_source(const struct elf_image *image, const char *file)
{
    struct elf_symbols symbols;
    if (!elf_image_symbols(image, SHT_SYMTAB, &symbols))
        return false;
    for (size_t i = 0; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(&symbols, i, &symbol);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FILE && text_equal(name, file))
            return true;
    }
    return false;
}

bool functions_by_symbol(const struct elf_image *image, function_visitor visit, void *context)
{
    struct elf_symbols symbols;
    if (elf_image_symbols(image, SHT_SYMTAB, &symbols) && !walk_symbols(&symbols, visit, context))
        return false;
    if (elf_image_symbols(image, SHT_DYNSYM, &symbols) && !walk_symbols(&symbols, visit, context))
        return false;
    return true;
}

/* Encodings of pointers (LSB core, "DWARF Extensions"): the low half says how it is stored, the
 * high half what it counts from. */
enum {
    ENCODED_WHOLE = 0x00,
    ENCODED_ULEB = 0x01,
    ENCODED_UDATA2 = 0x02,
    ENCODED_UDATA4 = 0x03,
    ENCODED_UDATA8 = 0x04,
    ENCODED_SLEB = 0x09,
    ENCODED_SDATA2 = 0x0a,
    ENCODED_SDATA4 = 0x0b,
    ENCODED_SDATA8 = 0x0c,
    ENCODED_STORAGE = 0x0f,
    ENCODED_FROM_ITSELF = 0x10,
    ENCODED_FROM_DATA = 0x30,
    ENCODED_FROM = 0x70,
    ENCODED_INDIRECT = 0x80,
    ENCODED_OMITTED = 0xff
};

enum { AUGMENTATION_MOST = 16 };

/* A stretch of bytes that is read from the front; bad for good once something did not fit. */
struct cursor {
    const unsigned char *at, *end;
    uint64_t address; /* of `at` */
    bool bad;
};

static uint64_t take(struct cursor *cursor, size_t length)
{
    uint64_t number = 0;
    if (cursor->bad || (size_t)(cursor->end - cursor->at) < length) {
        cursor->bad = true;
        return 0;
    }
    __builtin_memcpy(&number, cursor->at, length);
    cursor->at += length;
    cursor->address += length;
    return number;
}

static uint64_t take_leb(struct cursor *cursor, bool is_signed)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = take(cursor, 1);
        if (shift < 64)
            number |= (byte & 0x7f) << shift;
        if ((byte & 0x80) != 0)
            continue;
        if (is_signed && (byte & 0x40) != 0 && shift + 7 < 64)
            number |= UINT64_MAX << (shift + 7);
        return number;
    }
    cursor->bad = true;
    return 0;
}

/* `data` is what ENCODED_FROM_DATA counts from. */
static uint64_t take_pointer(struct cursor *cursor, unsigned encoding, uint64_t data)
{
    uint64_t base = 0, number = 0;
    switch (encoding & ENCODED_FROM) {
    case 0:
        break;
    case ENCODED_FROM_ITSELF:
        base = cursor->address;
        break;
    case ENCODED_FROM_DATA:
        base = data;
        break;
    default:
        cursor->bad = true;
    }
    switch (encoding & ENCODED_STORAGE) {
    case ENCODED_WHOLE:
    case ENCODED_UDATA8:
    case ENCODED_SDATA8:
        number = take(cursor, 8);
        break;
    case ENCODED_UDATA4:
        number = take(cursor, 4);
        break;
    case ENCODED_SDATA4:
        number = (uint64_t)(int64_t)(int32_t)take(cursor, 4);
        break;
    case ENCODED_UDATA2:
        number = take(cursor, 2);
        break;
    case ENCODED_SDATA2:
        number = (uint64_t)(int64_t)(int16_t)take(cursor, 2);
        break;
    case ENCODED_ULEB:
    case ENCODED_SLEB:
        number = take_leb(cursor, (encoding & ENCODED_STORAGE) == ENCODED_SLEB);
        break;
    default:
        cursor->bad = true;
    }
    return base + number;
}

/* Reads the length field; what it counts is left in `record`, and the cursor stands behind it.
 * False: the end, or damage. */
static bool take_record(struct cursor *cursor, struct cursor *record)
{
    uint64_t length = take(cursor, 4);
    if (length == UINT32_MAX)
        length = take(cursor, 8);
    if (cursor->bad || length > (size_t)(cursor->end - cursor->at))
        return false;
    *record = *cursor;
    record->end = record->at + length;
    cursor->at += length;
    cursor->address += length;
    return true;
}

/* How the frame descriptions that belong to this common part encode a function's start;
 * ENCODED_OMITTED where that is not to be understood. `common` stands at its length field. */
static unsigned encoding_of(struct cursor common)
{
    struct cursor record;
    char augmentation[AUGMENTATION_MOST];
    size_t length = 0;
    if (!take_record(&common, &record) || take(&record, 4) != 0)
        return ENCODED_OMITTED;
    uint64_t version = take(&record, 1);
    if (version != 1 && version != 3)
        return ENCODED_OMITTED;
    while ((augmentation[length] = (char)take(&record, 1)) != '\0')
        if (++length == AUGMENTATION_MOST)
            return ENCODED_OMITTED;
    if (length == 0)
        return record.bad ? ENCODED_OMITTED : ENCODED_WHOLE;
    if (augmentation[0] != 'z')
        return ENCODED_OMITTED;
    (void)take_leb(&record, false); /* code alignment */
    (void)take_leb(&record, true);  /* data alignment */
    if (version == 1)
        (void)take(&record, 1); /* register of the return address */
    else
        (void)take_leb(&record, false);
    (void)take_leb(&record, false); /* length of what the augmentation adds */
    unsigned encoding = ENCODED_WHOLE;
    for (size_t i = 1; i < length; i++)
        switch (augmentation[i]) {
        case 'R':
            encoding = (unsigned)take(&record, 1);
            break;
        case 'P': {
            unsigned personality = (unsigned)take(&record, 1);
            (void)take_pointer(&record, personality, 0);
            break;
        }
        case 'L':
            (void)take(&record, 1);
            break;
        case 'S': /* a signal frame */
        case 'B': /* signed return addresses */
            break;
        default:
            return ENCODED_OMITTED;
        }
    return record.bad || (encoding & ENCODED_INDIRECT) != 0 ? ENCODED_OMITTED : encoding;
}

struct frames {
    struct cursor all;
    bool whole; /* its end is known: a terminator in its middle ends nothing */
};

/* Without section headers: the header that the unwinder finds by its segment points to the frames,
 * which then end with a terminator. */
static bool find_by_segment(const struct elf_image *image, struct frames *frames)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++) {
        if (segment.p_type != PT_GNU_EH_FRAME)
            continue;
        const unsigned char *bytes = elf_image_bytes(image, segment.p_offset, segment.p_filesz);
        if (bytes == NULL)
            return false;
        struct cursor header = {bytes, bytes + segment.p_filesz, segment.p_vaddr, false};
        uint64_t version = take(&header, 1), encoding = take(&header, 1);
        (void)take(&header, 2); /* encodings of the table behind */
        uint64_t start = take_pointer(&header, (unsigned)encoding, segment.p_vaddr);
        if (header.bad || version != 1)
            return false;
        for (i = 0; elf_image_segment(image, i, &segment); i++)
            if (segment.p_type == PT_LOAD && start >= segment.p_vaddr &&
                start - segment.p_vaddr < segment.p_filesz) {
                size_t room = (size_t)(segment.p_filesz - (start - segment.p_vaddr));
                bytes = elf_image_at(image, start, room);
                if (bytes == NULL)
                    return false;
                *frames = (struct frames){{bytes, bytes + room, start, false}, false};
                return true;
            }
    }
    return false;
}

static bool find_frames(const struct elf_image *image, struct frames *frames)
{
    Elf64_Shdr section;
    if (image->sections == 0)
        return find_by_segment(image, frames);
    if (!elf_image_section_named(image, ".eh_frame", &section) || section.sh_type == SHT_NOBITS)
        return false;
    const unsigned char *bytes = elf_image_bytes(image, section.sh_offset, section.sh_size);
    if (bytes == NULL)
        return false;
    *frames = (struct frames){{bytes, bytes + section.sh_size, section.sh_addr, false}, true};
    return true;
}

bool functions_by_frame(const struct elf_image *image, function_visitor visit, void *context)
{
    struct frames frames;
    if (!find_frames(image, &frames))
        return true;
    const unsigned char *start = frames.all.at;
    uint64_t known = 0; /* where the common part stands that `encoding` is of */
    unsigned encoding = ENCODED_OMITTED;
    struct cursor next = frames.all, record;
    while (take_record(&next, &record)) {
        if (record.at == record.end) { /* a terminator */
            if (!frames.whole)
                break;
            continue;
        }
        /* The common part is told as the distance back from this very field. */
        uint64_t here = (uint64_t)(record.at - start), back = take(&record, 4);
        if (record.bad || back == 0 || back > here)
            continue;
        if (known != here - back || encoding == ENCODED_OMITTED) {
            struct cursor common = frames.all;
            known = here - back;
            common.at += known;
            common.address += known;
            encoding = encoding_of(common);
        }
        if (encoding == ENCODED_OMITTED)
            continue;
        uint64_t address = take_pointer(&record, encoding, 0);
        uint64_t size = take_pointer(&record, encoding & ENCODED_STORAGE, 0);
        if (record.bad || size == 0 || address == 0)
            continue;
        struct function function = {address, size, NULL, false};
        if (!visit(&function, context))
            return false;
    }
    return true;
}
