/* Constructor: see constructor.h. Three traces of a constructor are read: a copy inlined in the
 * allocating function, a call that the debug information lists, and (for code without
 * optimisation) a call instruction whose target is exactly a constructor's entry. */
#include "constructor.h"

#include "call.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 192, DEPTH_MOST = 16, NEW_AND_SPACE = 4 };

struct spot {
    int line, column;
};

struct search {
    struct module *module;
    Dwarf_Die unit;
    Dwarf_Addr first, shift; /* the return address; what to take off for a file's address */
    struct spot allocation;
    uint64_t size;
    char *name; /* of the class found */
    bool ambiguous;
};

static struct spot spot_of(Dwarf_Die *unit, Dwarf_Addr inside)
{
    struct spot spot = {0, 0};
    Dwarf_Line *line = dwarf_getsrc_die(unit, inside);
    if (line == NULL || dwarf_lineno(line, &spot.line) != 0 ||
        dwarf_linecol(line, &spot.column) != 0)
        return (struct spot){0, 0};
    return spot;
}

/* gcc gives both calls of a `new` expression one place; clang gives the allocation that of `new`
 * and the constructor that of the type behind it. The constructor of an argument stands elsewhere,
 * even in the same line. */
static bool same_expression(struct spot allocation, struct spot constructor)
{
    return allocation.line != 0 && allocation.column != 0 && constructor.line == allocation.line &&
           (constructor.column == allocation.column ||
            constructor.column == allocation.column + NEW_AND_SPACE);
}

/* The class if the function is a constructor: it is declared in a class and has its name. */
static bool class_of_constructor(Dwarf_Die *function, Dwarf_Die *class)
{
    Dwarf_Die declaration, *scopes = NULL;
    const char *name = dwarf_diename(declaration_of(function, &declaration));
    if (name == NULL || dwarf_tag(&declaration) != DW_TAG_subprogram ||
        dwarf_getscopes_die(&declaration, &scopes) < 2) {
        free(scopes);
        return false;
    }
    *class = scopes[1];
    free(scopes);
    int tag = dwarf_tag(class);
    const char *outer = dwarf_diename(class);
    if ((tag != DW_TAG_class_type && tag != DW_TAG_structure_type) || outer == NULL)
        return false;
    size_t length = strcspn(outer, "<"); /* X<int>::X */
    return strncmp(name, outer, length) == 0 && (name[length] == '\0' || name[length] == '<');
}

static void take(struct search *search, Dwarf_Die *constructor, struct spot spot)
{
    Dwarf_Die class;
    Dwarf_Word size;
    if (!same_expression(search->allocation, spot) || !class_of_constructor(constructor, &class) ||
        dwarf_aggregate_size(&class, &size) != 0 || size != search->size)
        return;
    char *name = qualified_name(&class);
    if (search->name == NULL) {
        search->name = name;
        return;
    }
    if (name == NULL || strcmp(name, search->name) != 0)
        search->ambiguous = true;
    free(name);
}

static bool in_window(const struct search *search, Dwarf_Addr address)
{
    return address >= search->first && address - search->first < WINDOW;
}

static bool number_of(Dwarf_Die *die, unsigned name, Dwarf_Word *number)
{
    Dwarf_Attribute attribute;
    return dwarf_formudata(dwarf_attr(die, name, &attribute), number) == 0;
}

static bool address_of(Dwarf_Die *die, unsigned name, Dwarf_Addr *address)
{
    Dwarf_Attribute attribute;
    return dwarf_formaddr(dwarf_attr(die, name, &attribute), address) == 0;
}

static void look_at_inlined(struct search *search, Dwarf_Die *die)
{
    Dwarf_Addr entry;
    Dwarf_Word line = 0, column = 0;
    if (dwarf_entrypc(die, &entry) != 0 || !in_window(search, entry) ||
        !number_of(die, DW_AT_call_line, &line) || !number_of(die, DW_AT_call_column, &column))
        return;
    take(search, die, (struct spot){(int)line, (int)column});
}

static void look_at_call(struct search *search, Dwarf_Die *die)
{
    Dwarf_Addr after;
    Dwarf_Attribute attribute;
    Dwarf_Die target;
    if (!address_of(die, DW_AT_call_return_pc, &after) && !address_of(die, DW_AT_low_pc, &after))
        return;
    if (after <= search->first || !in_window(search, after) ||
        (dwarf_formref_die(dwarf_attr(die, DW_AT_call_origin, &attribute), &target) == NULL &&
         dwarf_formref_die(dwarf_attr(die, DW_AT_abstract_origin, &attribute), &target) == NULL))
        return;
    take(search, &target, spot_of(&search->unit, after - 1));
}

/* Looks at a scope's own entries, not into what is inlined there: the constructors of bases and
 * members are inside those of their classes. */
static void walk(struct search *search, Dwarf_Die *scope, int depth)
{
    Dwarf_Die child;
    if (depth > DEPTH_MOST || dwarf_child(scope, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_lexical_block:
            walk(search, &child, depth + 1);
            break;
        case DW_TAG_inlined_subroutine:
            look_at_inlined(search, &child);
            break;
        case DW_TAG_call_site:
        case DW_TAG_GNU_call_site:
            look_at_call(search, &child);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
}

static void look_at_target(struct search *search, uint64_t target, Dwarf_Addr call)
{
    Dwarf_Die unit, *scopes = NULL;
    Dwarf_Addr inside, low;
    if (module_function_at(search->module, target) == NULL ||
        !module_unit(search->module, target, &unit, &inside))
        return;
    int count = dwarf_getscopes(&unit, inside, &scopes);
    for (int i = 0; i < count; i++)
        if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram) {
            if (dwarf_lowpc(&scopes[i], &low) == 0 && low == inside)
                take(search, &scopes[i], spot_of(&search->unit, call));
            break;
        }
    if (count >= 0)
        free(scopes);
}

/* Bytes that happen to look like a call do not lead to the very entry of a constructor. */
static void scan(struct search *search, Dwarf_Die *function)
{
    unsigned char bytes[WINDOW];
    uint64_t address = search->first - search->shift;
    size_t size = WINDOW;
    while (size > 0 && !module_bytes(search->module, address, bytes, size))
        size /= 2;
    for (size_t i = 0; i + 5 <= size; i++) {
        int32_t displacement;
        if (bytes[i] != 0xe8 || dwarf_haspc(function, search->first + i) <= 0)
            continue;
        memcpy(&displacement, bytes + i + 1, sizeof displacement);
        look_at_target(search, address + i + 5 + (uint64_t)(int64_t)displacement,
                       search->first + i);
    }
}

char *class_constructed_after(struct module *module, uint64_t return_address, uint64_t size)
{
    struct search search = {.module = module, .size = size};
    Dwarf_Addr inside;
    Dwarf_Die *scopes = NULL;
    if (!allocates_one_object(called_before(module, return_address)) ||
        !module_unit(module, return_address - 1, &search.unit, &inside))
        return NULL;
    search.first = inside + 1;
    search.shift = search.first - return_address;
    search.allocation = spot_of(&search.unit, inside);
    int count = dwarf_getscopes(&search.unit, inside, &scopes);
    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        walk(&search, &scopes[i], 0);
        scan(&search, &scopes[i]);
        break;
    }
    if (count >= 0)
        free(scopes);
    if (search.ambiguous) {
        free(search.name);
        return NULL;
    }
    return search.name;
}
