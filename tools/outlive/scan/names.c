/* Names: see names.h. */
#include "outlive/scan/names.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned groups;
} given[] = {
#define HOOK(name) {#name, NAME_HOOK},
#define HOOK_AT(name, version) {#name, NAME_HOOK},
#include "capture/hooks.def"
#undef HOOK
#undef HOOK_AT
    {"malloc", NAME_HEAP},
    {"calloc", NAME_HEAP},
    {"realloc", NAME_HEAP},
    {"reallocarray", NAME_HEAP},
    {"free", NAME_HEAP},
    {"cfree", NAME_HEAP},
    {"posix_memalign", NAME_HEAP},
    {"aligned_alloc", NAME_HEAP},
    {"memalign", NAME_HEAP},
    {"valloc", NAME_HEAP},
    {"pvalloc", NAME_HEAP},
    {"malloc_usable_size", NAME_HEAP},
#define FAMILY(kind, name) {#name, NAME_EXTENSION},
#include "capture/family_hooks.def"
#undef FAMILY
    {"mallctl", NAME_JEMALLOC},
    {"_rjem_malloc", NAME_EXTENSION | NAME_JEMALLOC},
    {"_rjem_mallocx", NAME_EXTENSION | NAME_JEMALLOC},
    {"TCMallocInternalMalloc", NAME_TCMALLOC},
    {"scalable_malloc", NAME_EXTENSION | NAME_TBB},
    {"scalable_free", NAME_EXTENSION | NAME_TBB},
    {"__libc_malloc", NAME_GLIBC},
    {"__cxa_throw", NAME_LIBSTDCXX},
    {"__cxa_allocate_exception", NAME_LIBSTDCXX},
    {"__cxa_atexit", NAME_RUNTIME},
    {"__cxa_thread_atexit", NAME_RUNTIME},
    {"__cxa_thread_atexit_impl", NAME_RUNTIME},
};

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct known_name *)left)->name,
                  ((const struct known_name *)right)->name);
}

/* Whose own call it is, by how these name them. */
static unsigned maker_of(const char *name)
{
    static const struct {
        const char *start;
        unsigned group;
    } starts[] = {{"mallocx", NAME_JEMALLOC},  {"xallocx", NAME_JEMALLOC},
                  {"rallocx", NAME_JEMALLOC},  {"dallocx", NAME_JEMALLOC},
                  {"sdallocx", NAME_JEMALLOC}, {"sallocx", NAME_JEMALLOC},
                  {"nallocx", NAME_JEMALLOC},  {"je_", NAME_JEMALLOC},
                  {"tc_", NAME_TCMALLOC},      {"mi_", NAME_MIMALLOC}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(name, starts[i].start, strlen(starts[i].start)) == 0)
            return starts[i].group;
    return 0;
}

void names_start(struct known_names *names)
{
    _Static_assert(sizeof given / sizeof *given <= KNOWN_NAMES, "one row for each");
    size_t count = sizeof given / sizeof *given, kept = 0;
    struct known_name *rows = names->rows;
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct known_name){.name = given[i].name, .groups = given[i].groups};
        if (strncmp(given[i].name, "_Zn", 3) == 0 || strncmp(given[i].name, "_Zd", 3) == 0)
            rows[i].groups |= NAME_OPERATOR;
        if ((rows[i].groups & NAME_EXTENSION) != 0)
            rows[i].groups |= maker_of(given[i].name);
    }
    qsort(rows, count, sizeof *rows, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(rows[kept - 1].name, rows[i].name) == 0)
            rows[kept - 1].groups |= rows[i].groups;
        else
            rows[kept++] = rows[i];
    }
    names->count = kept;
}

const struct known_name *names_find(const struct known_names *names, const char *name)
{
    struct known_name wanted = {.name = name};
    return bsearch(&wanted, names->rows, names->count, sizeof wanted, by_name);
}

static void note(struct known_name *row, const Elf64_Sym *symbol, bool dynamic)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    enum name_place place = NAME_ABSENT;
    if (symbol->st_shndx == SHN_UNDEF)
        place = dynamic ? NAME_IMPORTED : NAME_ABSENT;
    else if (type == STT_FUNC || type == STT_GNU_IFUNC)
        place = dynamic && ELF64_ST_BIND(symbol->st_info) != STB_LOCAL &&
                        (visibility == STV_DEFAULT || visibility == STV_PROTECTED)
                    ? NAME_EXPORTED
                    : NAME_INSIDE;
    if (place <= row->place)
        return;
    row->place = place;
    row->address = place == NAME_IMPORTED ? 0 : symbol->st_value;
}

static void read_table(struct known_names *names, const struct elf_image *image, unsigned type)
{
    struct elf_symbols symbols;
    if (!elf_image_symbols(image, type, &symbols))
        return;
    for (size_t i = 0; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(&symbols, i, &symbol);
        const struct known_name *row = names_find(names, name);
        if (row != NULL)
            note(&names->rows[row - names->rows], &symbol, type == SHT_DYNSYM);
    }
}

void names_read(struct known_names *names, const struct elf_image *image)
{
    read_table(names, image, SHT_DYNSYM);
    read_table(names, image, SHT_SYMTAB);
}

bool name_is_at(const struct known_name *name, enum name_place place)
{
    return name->place == place || (place == NAME_INSIDE && name->place == NAME_EXPORTED);
}

size_t names_count(const struct known_names *names, unsigned groups, enum name_place place)
{
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++)
        count += (names->rows[i].groups & groups) != 0 && name_is_at(&names->rows[i], place);
    return count;
}
