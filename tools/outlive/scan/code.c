/* Code: see code.h. */
#include "outlive/scan/code.h"

#include <stdlib.h>
#include <string.h>

#define STUBS_MOST 8
#define GAP_MOST 16               /* between functions, which compilers start at multiples of it */
#define NAME_MOST ((size_t)16384) /* longer ones are made to keep us busy */

struct collect {
    struct code_function *rows;
    size_t count, room;
    bool failed;
    Elf64_Shdr stubs[STUBS_MOST]; /* procedure linkage tables */
    size_t stub_count;
};

struct class_name {
    const char *name;
    size_t length;
};

static bool collect(const struct function *function, void *context)
{
    struct collect *all = context;
    const char *name = function->name;
    if (name != NULL && strnlen(name, NAME_MOST) == NAME_MOST)
        name = NULL;
    if (name != NULL && strstr(name, ".cold") != NULL)
        return true; /* a part that is jumped to, not called */
    if (all->count == all->room) {
        size_t room = all->room == 0 ? 4096 : 2 * all->room;
        void *grown = realloc(all->rows, room * sizeof *all->rows);
        if (grown == NULL) {
            all->failed = true;
            return false;
        }
        all->rows = grown;
        all->room = room;
    }
    all->rows[all->count++] = (struct code_function){
        .start = function->start, .size = function->size, .name = name, .refusal = CODE_OVERLAPS};
    return true;
}

/* By address; those with a name first, and names in order, so that the answer is always the same.
 */
static int by_start(const void *left, const void *right)
{
    const struct code_function *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->name == NULL || b->name == NULL)
        return (a->name == NULL) - (b->name == NULL);
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->size < b->size) - (a->size > b->size);
}

static int by_name(const void *left, const void *right)
{
    const struct class_name *a = left, *b = right;
    size_t length = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->name, b->name, length);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static void find_stubs(struct collect *all, const struct elf_image *image)
{
    Elf64_Shdr section;
    for (unsigned i = 1; all->stub_count < STUBS_MOST && elf_image_section(image, i, &section); i++)
        if (strncmp(elf_image_section_name(image, &section), ".plt", 4) == 0)
            all->stubs[all->stub_count++] = section;
}

/* Stubs of procedure linkage tables have frame descriptions, but are no functions of the file. */
static bool collect_frame(const struct function *function, void *context)
{
    struct collect *all = context;
    for (size_t i = 0; i < all->stub_count; i++)
        if (function->start - all->stubs[i].sh_addr < all->stubs[i].sh_size)
            return true;
    return collect(function, context);
}

/* Every name is one destructor, whether or not others stand at the same address. */
static bool count_classes(struct code *code, const struct collect *all)
{
    struct class_name *classes = calloc(all->count + 1, sizeof *classes);
    size_t count = 0;
    if (classes == NULL)
        return false;
    for (size_t i = 0; i < all->count; i++) {
        const struct code_function *row = &all->rows[i];
        struct destructor destructor;
        if (row->name == NULL || !destructor_parse(row->name, &destructor) ||
            (i > 0 && row[-1].name != NULL && row[-1].start == row->start &&
             strcmp(row[-1].name, row->name) == 0))
            continue; /* that of the other table */
        code->destructors[destructor.kind]++;
        classes[count++] = (struct class_name){row->name, destructor.class_length};
    }
    if (count > 0)
        qsort(classes, count, sizeof *classes, by_name);
    for (size_t i = 0; i < count; i++)
        code->classes += i == 0 || by_name(&classes[i - 1], &classes[i]) != 0;
    free(classes);
    return true;
}

/* Leaves one row for each entry: the first with a name, and a size where any tells one. With
 * symbols, what only .eh_frame knows of are parts of functions. */
static void merge(struct code *code, struct collect *all)
{
    struct code_function *rows = all->rows;
    size_t kept = 0;
    for (size_t i = 0, next; i < all->count; i = next) {
        struct code_function row = rows[i];
        struct destructor destructor;
        for (next = i; next < all->count && rows[next].start == row.start; next++) {
            if (row.size == 0)
                row.size = rows[next].size;
            row.is_destructor |=
                rows[next].name != NULL && destructor_parse(rows[next].name, &destructor);
        }
        if (row.name == NULL && code->source != CODE_FROM_FRAMES)
            continue;
        rows[kept++] = row;
    }
    code->functions = rows;
    code->count = kept;
}

static unsigned judge(const struct code_function *function, const struct elf_image *image)
{
    if (function->size == 0)
        return CODE_NO_SIZE;
    const unsigned char *bytes = elf_image_at(image, function->start, function->size);
    if (bytes == NULL)
        return CODE_NOT_IN_FILE;
    size_t room = function->size;
    if (elf_image_at(image, function->start, room + GAP_MOST) != NULL)
        room += GAP_MOST;
    return patch_judge(bytes, function->size, room, function->start);
}

/* Functions may overlap a little (assembler does it); a file in which they all do is made to keep
 * us busy. */
static void judge_all(struct code *code, const struct elf_image *image)
{
    uint64_t budget = 4 * (uint64_t)image->size;
    code->judged = patch_start();
    for (size_t i = 0; i < code->count && code->judged; i++) {
        struct code_function *function = &code->functions[i];
        if (function->size <= budget) {
            budget -= function->size;
            function->refusal = (unsigned char)judge(function, image);
        }
        code->refused[function->refusal]++;
    }
    for (size_t i = 0; i < code->count; i++) {
        const struct code_function *function = &code->functions[i];
        code->destructor_entries += function->is_destructor;
        code->destructor_patchable += function->is_destructor && function->refusal == PATCH_FINE;
    }
}

static void count_statics(struct code *code, const struct elf_image *image)
{
    struct elf_symbols symbols;
    if (!elf_image_symbols(image, SHT_SYMTAB, &symbols))
        return;
    for (size_t i = 0; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(&symbols, i, &symbol);
        unsigned type = ELF64_ST_TYPE(symbol.st_info);
        code->initialisers += type == STT_FUNC && strncmp(name, "_GLOBAL__", 9) == 0 &&
                              (strncmp(name + 9, "sub_I", 5) == 0 || name[9] == 'I') &&
                              memmem(name, strnlen(name, NAME_MOST), ".cold", 5) == NULL;
        code->guards +=
            type == STT_OBJECT && symbol.st_shndx != SHN_UNDEF && strncmp(name, "_ZGV", 4) == 0;
    }
}

bool code_read(struct code *code, const struct module_file *file)
{
    struct collect all = {.rows = NULL};
    bool named = functions_has_symtab(&file->image);
    bool separate = !named && file->debug.size != 0 && functions_has_symtab(&file->debug);
    code->source = named ? CODE_FROM_SYMTAB : separate ? CODE_FROM_DEBUG_FILE : CODE_FROM_FRAMES;
    (void)module_file_functions(file, collect, &all);
    find_stubs(&all, &file->image);
    (void)functions_by_frame(&file->image, collect_frame, &all);
    if (all.count > 0)
        qsort(all.rows, all.count, sizeof *all.rows, by_start);
    if (all.failed || !count_classes(code, &all)) {
        free(all.rows);
        return false;
    }
    merge(code, &all);
    judge_all(code, &file->image);
    count_statics(code, separate ? &file->debug : &file->image);
    return true;
}

void code_free(struct code *code)
{
    free(code->functions);
    code->functions = NULL;
}

const struct code_function *code_find(const struct code *code, uint64_t start)
{
    size_t low = 0, high = code->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code->functions[middle].start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < code->count && code->functions[low].start == start ? &code->functions[low] : NULL;
}

const char *code_refusal_name(unsigned refusal)
{
    static const char *const names[CODE_REFUSALS] = {
        [PATCH_FINE] = "fine",
        [PATCH_TOO_SHORT] = "too-short",
        [PATCH_NOT_DECODED] = "not-decoded",
        [PATCH_BRANCH_INSIDE] = "branch-inside",
        [PATCH_BRANCH_TO_ENTRY] = "branch-to-entry",
        [PATCH_CALL_INSIDE] = "call-inside",
        [PATCH_NOT_RELOCATED] = "not-relocated",
        [PATCH_TAKEN] = "taken",
        [PATCH_NO_ROOM] = "no-room",
        [PATCH_FORBIDDEN] = "forbidden",
        [PATCH_NO_DECODER] = "no-decoder",
        [PATCH_THREADS] = "threads",
        [CODE_NO_SIZE] = "no-size",
        [CODE_NOT_IN_FILE] = "not-in-file",
        [CODE_OVERLAPS] = "overlaps",
    };
    return refusal < CODE_REFUSALS && names[refusal] != NULL ? names[refusal] : "other";
}

const char *code_refusal_text(unsigned refusal)
{
    switch (refusal) {
    case CODE_NO_SIZE:
        return "of unknown size";
    case CODE_NOT_IN_FILE:
        return "their bytes are not in the file";
    case CODE_OVERLAPS:
        return "over other functions";
    default:
        return patch_refusal_text((enum patch_refusal)refusal);
    }
}
