/* Module: see module.h. */
#include "module.h"

#include <dwarf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libstdc++, Itanium C++ ABI chapter 3.4. */
char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

struct module {
    char *path;
    Dwfl *dwfl;
    Dwfl_Module *dwfl_module;
    Dwarf_Addr bias; /* libdwfl's load address of a file address 0 */
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
    return strncmp(text, wanted, strlen(wanted)) == 0;
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
        if (strcmp(module->path, path) == 0)
            return module->dwfl_module == NULL ? NULL : module;
    struct module *module = calloc(1, sizeof *module);
    if (module == NULL)
        return NULL;
    module->path = strdup(path);
    module->next = modules;
    modules = module;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    module->dwfl = dwfl_begin(&callbacks);
    if (file < 0 || module->dwfl == NULL || module->path == NULL)
        return NULL;
    dwfl_report_begin(module->dwfl);
    Dwfl_Module *found = dwfl_report_offline(module->dwfl, path, path, file);
    dwfl_report_end(module->dwfl, NULL, NULL);
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
        if ((unsigned char)*c < ' ')
            *c = '?';
    if (strlen(text) > 900)
        memcpy(text + 897, "...", 4);
    return text;
}

static char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (name == NULL)
        name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    if (name == NULL)
        name = dwarf_diename(die);
    return name == NULL ? NULL : demangled(name);
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

Dwarf_Die *module_unit(struct module *module, uint64_t address, Dwarf_Addr *inside)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(module->dwfl_module, address + module->bias, &bias);
    *inside = address + module->bias - bias;
    return unit;
}

static void add_source_line(struct module *module, uint64_t address, struct frame *frame)
{
    Dwfl_Line *line = dwfl_module_getsrc(module->dwfl_module, address + module->bias);
    const char *file =
        line == NULL ? NULL : dwfl_lineinfo(line, NULL, &frame->line, NULL, NULL, NULL);
    if (file != NULL)
        frame->file = strdup(file);
}

/* dwarf_getscopes() follows an inlined function to where it was written; the scopes around the
 * innermost entry are those it was inlined into. */
static size_t frames_from_debug_information(struct module *module, uint64_t address,
                                            struct frame *frames)
{
    Dwarf_Addr inside;
    Dwarf_Die *unit = module_unit(module, address, &inside), *innermost = NULL, *scopes = NULL;
    size_t count = 0;
    if (unit == NULL || dwarf_getscopes(unit, inside, &innermost) <= 0)
        return 0;
    int found = dwarf_getscopes_die(&innermost[0], &scopes);
    free(innermost);
    if (found <= 0)
        return 0;
    add_source_line(module, address, &frames[0]);
    for (int i = 0; i < found && count < MODULE_FRAMES; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        frames[count++].function = name_of(&scopes[i]);
        if (tag == DW_TAG_subprogram)
            break;
        if (count < MODULE_FRAMES)
            frames[count].file = call_file(unit, &scopes[i], &frames[count].line);
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
        frames[i].function = clean(frames[i].function);
        frames[i].file = clean(frames[i].file);
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
    return clean(demangled(name));
}
