/* LTO: see lto.h. What gcc 12 and clang 14 leave: the code that the linker's plug-in made belongs
 * to a source file without a name, in .symtab; gcc names that file "<artificial>", and its producer
 * GNU GIMPLE, in debug information; names that clashed carry .lto_priv; lld's file is ld-temp.o. */
#include "patch/lto.h"

#include "base/text.h"

/* The sections are megabytes, and most bytes need no look (Horspool's search). */
static bool holds(const struct elf_image *image, const char *section, const char *sought)
{
    Elf64_Shdr header;
    size_t size = text_length(sought), skip[256];
    if (!elf_image_section_named(image, section, &header) || header.sh_type == SHT_NOBITS ||
        (header.sh_flags & SHF_COMPRESSED) != 0)
        return false;
    const unsigned char *bytes = elf_image_bytes(image, header.sh_offset, header.sh_size);
    if (bytes == NULL)
        return false;
    for (size_t i = 0; i < 256; i++)
        skip[i] = size;
    for (size_t i = 0; i + 1 < size; i++)
        skip[(unsigned char)sought[i]] = size - 1 - i;
    for (uint64_t end = size; end <= header.sh_size; end += skip[bytes[end - 1]])
        if (__builtin_memcmp(bytes + end - size, sought, size) == 0)
            return true;
    return false;
}

const char *lto_sign(const struct elf_image *image)
{
    struct elf_symbols symbols;
    Elf64_Sym symbol;
    bool nameless = false, has_code = false;
    size_t count = elf_image_symbols(image, SHT_SYMTAB, &symbols) ? symbols.count : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = elf_symbols_at(&symbols, i, &symbol);
        unsigned type = ELF64_ST_TYPE(symbol.st_info);
        if (type == STT_FILE) {
            /* The last such file holds what was global and hidden, and the linker's own. */
            if (has_code)
                return "functions without a source file";
            if (text_find(name, "ld-temp.o") != NULL || text_find(name, ".ltrans") != NULL)
                return "an object that only the linker made";
            nameless = name[0] == '\0';
        } else if (type == STT_FUNC && symbol.st_shndx != SHN_UNDEF) {
            has_code = has_code || (nameless && ELF64_ST_BIND(symbol.st_info) == STB_LOCAL);
            if (text_find(name, ".lto_priv") != NULL)
                return "names with .lto_priv";
        }
    }
    return holds(image, ".debug_str", "GNU GIMPLE") ||
                   holds(image, ".debug_line_str", "<artificial>")
               ? "the linker's plug-in as a compiler, in the debug information"
               : NULL;
}
