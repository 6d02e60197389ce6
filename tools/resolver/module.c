/* Module: see module.h. */
#include "module.h"

#include <dwarf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libstdc++, Itanium C++ ABI chapter 3.4. */
char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

/* Answers are at most 16 frames of this many bytes: the shim reads an answer into 16 KiB. */
enum { FUNCTION_BYTES = 700, FILE_BYTES = 250 };

/* A run of code of one compilation unit. */
struct unit_range {
    Dwarf_Addr low, high;
    Dwarf_Off unit;
};

struct module {
    char *path, *build_id;
    Dwfl *dwfl;
    Dwfl_Module *dwfl_module;
    Dwarf_Addr bias; /* libdwfl's load address of a file address 0 */
    struct unit_range *ranges;
    size_t range_count;
    bool ranges_read;
    struct module *next;
};

static struct module *modules;

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

static int has_build_id(Dwfl_Module *module, const char *wanted)
{
    const unsigned char *bits;
    GElf_Addr where;
    char text[129] = "";
    int length = dwfl_module_build_id(module, &bits, &where);
    for (int i = 0; i < length && i < 64; i++)
        snprintf(text + 2 * i, 3, "%02x", bits[i]);
    return strcmp(text, wanted) == 0;
}

/* The address at which the first loadable segment is linked: libdwfl moves shared objects. */
static int set_bias(struct module *module)
{
    GElf_Addr bias;
    if (dwfl_module_getelf(module->dwfl_module, &bias) == NULL)
        return -1;
    module->bias = bias;
    return 0;
}

struct module *module_open(const char *path, const char *build_id)
{
    for (struct module *module = modules; module != NULL; module = module->next)
        if (strcmp(module->path, path) == 0 && strcmp(module->build_id, build_id) == 0)
            return module->dwfl_module == NULL ? NULL : module;
    struct module *module = calloc(1, sizeof *module);
    if (module == NULL)
        return NULL;
    module->path = strdup(path);
    module->build_id = strdup(build_id);
    if (module->path == NULL || module->build_id == NULL) {
        free(module->path);
        free(module->build_id);
        free(module);
        return NULL;
    }
    module->next = modules;
    modules = module;
    /* A path may name a pipe or a terminal, which would be waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat kind;
    module->dwfl = dwfl_begin(&callbacks);
    if (file < 0 || module->dwfl == NULL || fstat(file, &kind) != 0 || !S_ISREG(kind.st_mode)) {
        if (file >= 0)
            close(file);
        return NULL;
    }
    dwfl_report_begin(module->dwfl);
    Dwfl_Module *found = dwfl_report_offline(module->dwfl, path, path, file);
    dwfl_report_end(module->dwfl, NULL, NULL);
    if (found == NULL)
        close(file);
    if (found == NULL || (strcmp(build_id, "-") != 0 && !has_build_id(found, build_id)))
        return NULL;
    module->dwfl_module = found;
    if (set_bias(module) != 0)
        module->dwfl_module = NULL;
    return module->dwfl_module == NULL ? NULL : module;
}

/* What everybody calls std::string. */
static void shorten(char *name)
{
    static const char *const longs[] = {
        "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
        "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
    };
    static const char brief[] = "std::string";
    for (size_t i = 0; i < sizeof longs / sizeof *longs; i++) {
        size_t length = strlen(longs[i]);
        for (char *at = name; (at = strstr(at, longs[i])) != NULL; at += sizeof brief - 1) {
            memcpy(at, brief, sizeof brief - 1);
            memmove(at + sizeof brief - 1, at + length, strlen(at + length) + 1);
        }
    }
}

char *demangled(const char *name)
{
    int status = -1;
    char *result = NULL;
    if (strncmp(name, "_Z", 2) == 0)
        result = __cxa_demangle(name, NULL, NULL, &status);
    if (status == 0 && result != NULL) {
        shorten(result);
        return result;
    }
    free(result);
    return strdup(name);
}

/* Fields of the answer are split by tabs and line feeds: a hostile file may hold them in names. */
static char *clean(char *text)
{
    if (text == NULL)
        return strdup("");
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return text;
}

/* A long name loses its end. */
static char *clean_function(char *text)
{
    text = clean(text);
    if (text != NULL && strlen(text) > FUNCTION_BYTES)
        memcpy(text + FUNCTION_BYTES - 3, "...", 4);
    return text;
}

/* A long path loses its beginning: the file's own name is what is looked for. */
static char *clean_file(char *text)
{
    text = clean(text);
    size_t length = text == NULL ? 0 : strlen(text);
    if (length > FILE_BYTES) {
        memmove(text, text + length - FILE_BYTES, FILE_BYTES + 1);
        text[0] = text[1] = text[2] = '.';
    }
    return text;
}

Dwarf_Die *declaration_of(Dwarf_Die *die, Dwarf_Die *into)
{
    static const unsigned links[] = {DW_AT_abstract_origin, DW_AT_specification};
    *into = *die;
    for (int steps = 0; steps < 8; steps++) { /* hostile files hold circles */
        Dwarf_Attribute attribute;
        Dwarf_Die next;
        bool found = false;
        for (size_t i = 0; i < sizeof links / sizeof *links && !found; i++)
            found = dwarf_formref_die(dwarf_attr(into, links[i], &attribute), &next) != NULL;
        if (!found)
            break;
        *into = next;
    }
    return into;
}

char *qualified_name(Dwarf_Die *die)
{
    Dwarf_Die declaration, *scopes = NULL;
    const char *own = dwarf_diename(declaration_of(die, &declaration));
    char *name = own == NULL ? NULL : strdup(own);
    int count = name == NULL ? 0 : dwarf_getscopes_die(&declaration, &scopes);
    for (int i = 1; i < count && name != NULL; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_namespace && tag != DW_TAG_class_type && tag != DW_TAG_structure_type &&
            tag != DW_TAG_union_type)
            continue;
        const char *outer = dwarf_diename(&scopes[i]);
        char *longer = NULL;
        if (asprintf(&longer, "%s::%s", outer == NULL ? "(anonymous)" : outer, name) < 0)
            longer = NULL;
        free(name);
        name = longer;
    }
    if (count >= 0)
        free(scopes);
    if (name != NULL)
        shorten(name);
    return name;
}

static char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (name == NULL)
        name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return name == NULL ? qualified_name(die) : demangled(name);
}

static char *call_file(Dwarf_Die *unit, Dwarf_Die *inlined, int *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0, at = 0;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &at) == 0)
        *line = (int)at;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) != 0 ||
        dwarf_getsrcfiles(unit, &files, &count) != 0 || number >= count)
        return NULL;
    const char *name = dwarf_filesrc(files, number, NULL, NULL);
    return name == NULL ? NULL : strdup(name);
}

static int by_low(const void *left, const void *right)
{
    Dwarf_Addr a = ((const struct unit_range *)left)->low;
    Dwarf_Addr b = ((const struct unit_range *)right)->low;
    return (a > b) - (a < b);
}

/* clang writes no .debug_aranges, and libdwfl looks nowhere else. */
static void read_ranges(struct module *module)
{
    Dwarf_Addr bias, base, low, high;
    Dwarf_Die *unit = NULL;
    size_t room = 0;
    module->ranges_read = true;
    while ((unit = dwfl_module_nextcu(module->dwfl_module, unit, &bias)) != NULL) {
        ptrdiff_t at = 0;
        while ((at = dwarf_ranges(unit, at, &base, &low, &high)) > 0) {
            if (low >= high)
                continue;
            if (module->range_count == room) {
                room = room == 0 ? 256 : 2 * room;
                struct unit_range *larger =
                    reallocarray(module->ranges, room, sizeof *module->ranges);
                if (larger == NULL)
                    return;
                module->ranges = larger;
            }
            module->ranges[module->range_count++] =
                (struct unit_range){low, high, dwarf_dieoffset(unit)};
        }
    }
    if (module->range_count > 0)
        qsort(module->ranges, module->range_count, sizeof *module->ranges, by_low);
}

static Dwarf_Die *unit_from_ranges(struct module *module, Dwarf_Addr inside, Dwarf_Die *unit)
{
    Dwarf_Addr bias;
    if (!module->ranges_read)
        read_ranges(module);
    size_t low = 0, high = module->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (module->ranges[middle].low <= inside)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || module->ranges[low - 1].high <= inside)
        return NULL;
    Dwarf *dwarf = dwfl_module_getdwarf(module->dwfl_module, &bias);
    return dwarf == NULL ? NULL : dwarf_offdie(dwarf, module->ranges[low - 1].unit, unit);
}

bool module_unit(struct module *module, uint64_t address, Dwarf_Die *unit, Dwarf_Addr *inside)
{
    Dwarf_Addr bias;
    Dwarf_Die *found = dwfl_module_addrdie(module->dwfl_module, address + module->bias, &bias);
    if (found != NULL) {
        *inside = address + module->bias - bias;
        *unit = *found;
        /* libdwfl counts gaps to the unit before them. */
        if (dwarf_haspc(unit, *inside) > 0)
            return true;
    }
    if (dwfl_module_getdwarf(module->dwfl_module, &bias) == NULL)
        return false;
    *inside = address + module->bias - bias;
    return unit_from_ranges(module, *inside, unit) != NULL;
}

Elf *module_elf(struct module *module)
{
    GElf_Addr bias;
    return dwfl_module_getelf(module->dwfl_module, &bias);
}

const char *module_function_at(struct module *module, uint64_t address)
{
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module->dwfl_module, address + module->bias, &offset,
                                            &symbol, NULL, NULL, NULL);
    return name != NULL && offset == 0 && GELF_ST_TYPE(symbol.st_info) == STT_FUNC ? name : NULL;
}

const char *module_name_at(struct module *module, int *at, uint64_t address)
{
    int symbols = dwfl_module_getsymtab(module->dwfl_module);
    while (*at < symbols) {
        GElf_Sym symbol;
        GElf_Addr value;
        const char *name = dwfl_module_getsym_info(module->dwfl_module, (*at)++, &symbol, &value,
                                                   NULL, NULL, NULL);
        if (name != NULL && value == address + module->bias &&
            GELF_ST_TYPE(symbol.st_info) == STT_FUNC)
            return name;
    }
    return NULL;
}

static void add_source_line(Dwarf_Die *unit, Dwarf_Addr inside, struct frame *frame)
{
    Dwarf_Line *line = dwarf_getsrc_die(unit, inside);
    const char *file = line == NULL ? NULL : dwarf_linesrc(line, NULL, NULL);
    if (file == NULL)
        return;
    frame->file = strdup(file);
    (void)dwarf_lineno(line, &frame->line);
}

/* dwarf_getscopes() follows an inlined function to where it was written; the scopes around the
 * innermost entry are those it was inlined into. */
static size_t frames_from_debug_information(struct module *module, uint64_t address,
                                            struct frame *frames)
{
    Dwarf_Addr inside;
    Dwarf_Die unit, *innermost = NULL, *scopes = NULL;
    size_t count = 0;
    if (!module_unit(module, address, &unit, &inside) ||
        dwarf_getscopes(&unit, inside, &innermost) <= 0)
        return 0;
    int found = dwarf_getscopes_die(&innermost[0], &scopes);
    free(innermost);
    if (found <= 0)
        return 0;
    add_source_line(&unit, inside, &frames[0]);
    for (int i = 0; i < found && count < MODULE_FRAMES; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        frames[count++].function = name_of(&scopes[i]);
        if (tag == DW_TAG_subprogram)
            break;
        if (count < MODULE_FRAMES)
            frames[count].file = call_file(&unit, &scopes[i], &frames[count].line);
    }
    free(scopes);
    return count;
}

size_t module_frames(struct module *module, uint64_t address, struct frame *frames)
{
    memset(frames, 0, sizeof *frames * MODULE_FRAMES);
    size_t count = frames_from_debug_information(module, address, frames);
    if (count == 0) {
        GElf_Off offset;
        GElf_Sym symbol;
        const char *name = dwfl_module_addrinfo(module->dwfl_module, address + module->bias,
                                                &offset, &symbol, NULL, NULL, NULL);
        /* A symbol without a size, or before it, only happens to stand in front. */
        if (name != NULL && offset < symbol.st_size) {
            frames[0].function = demangled(name);
            count = 1;
        } else if (frames[0].file != NULL) {
            count = 1;
        }
    }
    for (size_t i = 0; i < MODULE_FRAMES; i++) {
        if (i >= count) {
            free(frames[i].file);
            continue;
        }
        frames[i].function = clean_function(frames[i].function);
        frames[i].file = clean_file(frames[i].file);
    }
    return count;
}

void frame_free(struct frame *frame)
{
    free(frame->function);
    free(frame->file);
}

char *module_data_name(struct module *module, uint64_t address)
{
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module->dwfl_module, address + module->bias, &offset,
                                            &symbol, NULL, NULL, NULL);
    if (name == NULL || offset >= symbol.st_size || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT)
        return NULL;
    return clean_function(demangled(name));
}
