/* File: see file.h. */
#include "outlive/scan/file.h"

#include "outlive/elf_file.h"
#include "patch/lto.h"

#include <string.h>

static bool has_section(const struct elf_image *image, const char *name)
{
    Elf64_Shdr section;
    return elf_image_section_named(image, name, &section) && section.sh_type != SHT_NOBITS;
}

static const unsigned char *section_bytes(const struct elf_image *image, const char *name,
                                          uint64_t *size)
{
    Elf64_Shdr section;
    if (!elf_image_section_named(image, name, &section) || section.sh_type == SHT_NOBITS ||
        (section.sh_flags & SHF_COMPRESSED) != 0)
        return NULL;
    *size = section.sh_size;
    return elf_image_bytes(image, section.sh_offset, section.sh_size);
}

static bool has_segment(const struct elf_image *image, uint32_t type)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == type)
            return true;
    return false;
}

static void read_linking(struct file_facts *facts, const struct elf_image *image)
{
    struct elf_dynamic dynamic;
    uint64_t value, flags = 0, flags_1 = 0;
    const char *interpreter = elf_interpreter(image);
    facts->interpreter = interpreter == NULL ? "" : interpreter;
    facts->soname = "";
    if (elf_image_dynamic(image, &dynamic)) {
        if (elf_dynamic_value(&dynamic, DT_SONAME, &value))
            facts->soname = elf_strings_at(&dynamic.strings, value);
        (void)elf_dynamic_value(&dynamic, DT_FLAGS, &flags);
        (void)elf_dynamic_value(&dynamic, DT_FLAGS_1, &flags_1);
        facts->bound_now = (flags & DF_BIND_NOW) != 0 || (flags_1 & DF_1_NOW) != 0 ||
                           elf_dynamic_value(&dynamic, DT_BIND_NOW, &value);
        facts->symbolic =
            (flags & DF_SYMBOLIC) != 0 || elf_dynamic_value(&dynamic, DT_SYMBOLIC, &value);
        for (size_t i = 0; i < dynamic.count; i++) {
            Elf64_Dyn entry;
            elf_dynamic_at(&dynamic, i, &entry);
            if (entry.d_tag == DT_NEEDED)
                facts->musl |= strncmp(elf_strings_at(&dynamic.strings, entry.d_un.d_val),
                                       "libc.musl", 9) == 0;
        }
    }
    facts->musl |= strstr(facts->interpreter, "ld-musl") != NULL;
    /* Linkers of before 2016 did not mark programs; libc.so.6 has an interpreter, too. */
    bool moves = image->header.e_type == ET_DYN;
    bool program = !moves || (flags_1 & DF_1_PIE) != 0 ||
                   (*facts->interpreter != '\0' && *facts->soname == '\0');
    facts->is_library = !program;
    facts->is_pie = moves;
    facts->is_static = program && *facts->interpreter == '\0';
    if (has_segment(image, PT_GNU_RELRO))
        facts->relro = facts->bound_now ? RELRO_FULL : RELRO_PARTIAL;
    facts->sanitizer = elf_has_sanitizer(image);
}

/* x86-64 psABI, "Program Property": an array of type, size and value in one note. */
static void read_properties(struct file_facts *facts, const struct elf_image *image)
{
    uint64_t size;
    const unsigned char *bytes = section_bytes(image, ".note.gnu.property", &size);
    Elf64_Nhdr note;
    if (bytes == NULL || size < sizeof note + 4)
        return;
    memcpy(&note, bytes, sizeof note);
    if (note.n_type != NT_GNU_PROPERTY_TYPE_0 || note.n_namesz != 4 ||
        note.n_descsz > size - sizeof note - 4)
        return;
    bytes += sizeof note + 4;
    for (uint64_t at = 0; at + 12 <= note.n_descsz;) {
        uint32_t head[3]; /* type, size, the value's first word */
        memcpy(head, bytes + at, sizeof head);
        if (head[0] == GNU_PROPERTY_X86_FEATURE_1_AND && head[1] >= 4) {
            facts->ibt = (head[2] & GNU_PROPERTY_X86_FEATURE_1_IBT) != 0;
            facts->shstk = (head[2] & GNU_PROPERTY_X86_FEATURE_1_SHSTK) != 0;
        }
        at += 8 + (((uint64_t)head[1] + 7) & ~UINT64_C(7));
    }
}

static void read_debug(struct file_facts *facts, const struct module_file *file)
{
    const struct elf_image *image = &file->image;
    facts->symtab = functions_has_symtab(image);
    facts->dwarf = has_section(image, ".debug_info") || has_section(image, ".zdebug_info");
    facts->unwind = has_segment(image, PT_GNU_EH_FRAME) || has_section(image, ".eh_frame");
    facts->compressed_symtab = has_section(image, ".gnu_debugdata");
    if (file->debug.size != 0) {
        facts->debug_symtab = functions_has_symtab(&file->debug);
        facts->debug_dwarf =
            has_section(&file->debug, ".debug_info") || has_section(&file->debug, ".zdebug_info");
    }
    facts->build_id_length = elf_image_build_id(image, facts->build_id);
}

static void read_compilers(struct file_facts *facts, const struct elf_image *image)
{
    uint64_t size = 0;
    const unsigned char *bytes = section_bytes(image, ".comment", &size);
    for (uint64_t at = 0; bytes != NULL && at < size && facts->compiler_count < COMPILERS_MOST;) {
        const char *name = (const char *)bytes + at;
        if (memchr(name, '\0', size - at) == NULL)
            return;
        at += strlen(name) + 1;
        bool known = *name == '\0' || strncmp(name, "Linker:", 7) == 0;
        for (size_t i = 0; i < facts->compiler_count; i++)
            known |= strcmp(facts->compilers[i], name) == 0;
        if (!known)
            facts->compilers[facts->compiler_count++] = name;
    }
}

void file_read(struct file_facts *facts, const struct module_file *file)
{
    const struct elf_image *image = &file->image;
    read_linking(facts, image);
    read_properties(facts, image);
    read_debug(facts, file);
    read_compilers(facts, image);
    facts->go = has_section(image, ".gopclntab") || has_section(image, ".go.buildinfo");
    facts->lto = lto_sign(image);
    if (facts->lto == NULL && file->debug.size != 0)
        facts->lto = lto_sign(&file->debug);
}
