/* Type: see type.h. */
#include "type.h"

#include "call.h"
#include "constructor.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy of the first template argument, from the '<' at `open`; NULL if it does not end. */
static char *first_argument(const char *open)
{
    int depth = 0;
    for (const char *c = open; *c != '\0'; c++) {
        depth += *c == '<' || *c == '(' || *c == '[' || *c == '{';
        bool ends = *c == ',' && depth == 1;
        if ((*c == '>' && c[-1] != '-') || *c == ')' || *c == ']' || *c == '}')
            ends = --depth == 0;
        if (ends) {
            size_t length = (size_t)(c - open - 1);
            while (length > 0 && open[length] == ' ')
                length--;
            return strndup(open + 1, length);
        }
    }
    return NULL;
}

/* Nodes are told by what they hold: nobody knows std::_Rb_tree_node. */
static char *readable(char *type)
{
    static const struct {
        const char *prefix, *words;
    } nodes[] = {
        {"std::_Rb_tree_node<", "node of a std::map or std::set of "},
        {"std::_List_node<", "node of a std::list of "},
        {"std::__detail::_Hash_node<", "node of a std::unordered_map or set of "},
        {"std::_Sp_counted_ptr_inplace<", "shared object "},
    };
    for (size_t i = 0; type != NULL && i < sizeof nodes / sizeof *nodes; i++) {
        size_t length = strlen(nodes[i].prefix);
        if (strncmp(type, nodes[i].prefix, length) != 0)
            continue;
        char *inner = first_argument(type + length - 1), *text = NULL;
        if (inner != NULL && asprintf(&text, "%s%s", nodes[i].words, inner) < 0)
            text = NULL;
        free(inner);
        if (text == NULL)
            return type;
        free(type);
        return text;
    }
    return type;
}

char *type_from_function(const char *function, enum maker *maker)
{
    static const struct {
        const char *prefix, *member;
        enum maker maker;
    } makers[] = {
        {"std::__new_allocator<", ">::allocate(", MAKER_ALLOCATOR},
        {"__gnu_cxx::new_allocator<", ">::allocate(", MAKER_ALLOCATOR},
        {"std::allocator_traits<std::allocator<", ">::allocate(", MAKER_ALLOCATOR_TRAITS},
    };
    *maker = MAKER_NONE;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        size_t length = strlen(makers[i].prefix);
        if (strncmp(function, makers[i].prefix, length) != 0 ||
            strstr(function, makers[i].member) == NULL)
            continue;
        *maker = makers[i].maker;
        return readable(first_argument(function + length - 1));
    }
    /* The result stands in front of the name: std::__detail::_MakeUniq<T>::__single_object. */
    static const char single[] = "::__single_object std::make_unique<";
    const char *unique = strstr(function, single);
    if (unique == NULL)
        return NULL;
    *maker = MAKER_UNIQUE;
    return readable(first_argument(unique + sizeof single - 2));
}

/* The entry of the code at the address itself: what the innermost inlined frame is a copy of. */
static bool innermost_function(struct module *module, uint64_t address, Dwarf_Die *function)
{
    Dwarf_Die unit, *scopes = NULL;
    Dwarf_Addr inside;
    if (!module_unit(module, address, &unit, &inside))
        return false;
    int count = dwarf_getscopes(&unit, inside, &scopes);
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
        int tag = dwarf_tag(&scopes[i]);
        found = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram;
        *function = scopes[i];
    }
    if (count >= 0)
        free(scopes);
    return found;
}

/* The type that a function or class has as its first template argument. */
static bool template_argument(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Die child;
    Dwarf_Attribute attribute;
    if (dwarf_child(die, &child) != 0)
        return false;
    do {
        if (dwarf_tag(&child) == DW_TAG_template_type_parameter)
            return dwarf_formref_die(dwarf_attr(&child, DW_AT_type, &attribute), type) != NULL;
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

static bool class_argument(Dwarf_Die *function, Dwarf_Die *type)
{
    Dwarf_Die declaration, *scopes = NULL;
    int count = dwarf_getscopes_die(declaration_of(function, &declaration), &scopes);
    bool found = count >= 2 && template_argument(&scopes[1], type);
    if (count >= 0)
        free(scopes);
    return found;
}

static bool function_argument(Dwarf_Die *function, Dwarf_Die *type)
{
    Dwarf_Die declaration, origin;
    Dwarf_Attribute attribute;
    if (template_argument(function, type) ||
        template_argument(declaration_of(function, &declaration), type))
        return true;
    return dwarf_formref_die(dwarf_attr(function, DW_AT_abstract_origin, &attribute), &origin) !=
               NULL &&
           template_argument(&origin, type);
}

/* The size of one element, 0 if the debug information does not tell. */
static uint64_t element_size(Dwarf_Die *function, enum maker maker)
{
    Dwarf_Die type, allocator;
    Dwarf_Word size;
    bool found = false;
    if (maker == MAKER_ALLOCATOR)
        found = class_argument(function, &type);
    else if (maker == MAKER_ALLOCATOR_TRAITS)
        found = class_argument(function, &allocator) && template_argument(&allocator, &type);
    else if (maker == MAKER_UNIQUE)
        found = function_argument(function, &type);
    return found && dwarf_aggregate_size(&type, &size) == 0 ? size : 0;
}

/* A function that names the type is believed only where the size agrees: make_unique<X> may have
 * inlined X's constructor, which allocates other things. */
static char *type_if_size_agrees(char *type, uint64_t element, uint64_t size, enum maker maker)
{
    char *array = NULL;
    if (type == NULL || element == 0 || size == 0 || size % element != 0 ||
        (size != element && maker == MAKER_UNIQUE)) {
        free(type);
        return NULL;
    }
    if (size == element)
        return type;
    if (strcmp(type, "std::__detail::_Hash_node_base*") == 0)
        array = strdup("buckets of a std::unordered_map or set");
    else if (asprintf(&array, "array of %lu %s", (unsigned long)(size / element), type) < 0)
        array = NULL;
    free(type);
    return array;
}

char *type_of_allocation(struct module *module, uint64_t address, unsigned long size)
{
    struct frame frames[MODULE_FRAMES];
    Dwarf_Die function;
    enum maker maker = MAKER_NONE;
    char *type = NULL;
    if (size == 0 || !innermost_function(module, address, &function))
        return NULL;
    size_t count = module_frames(module, address, frames);
    if (count > 0)
        type = type_from_function(frames[0].function, &maker);
    for (size_t i = 0; i < count; i++)
        frame_free(&frames[i]);
    if (maker == MAKER_NONE)
        return class_constructed_after(module, address + 1, size);
    if (maker == MAKER_UNIQUE && !allocates_one_object(called_before(module, address + 1))) {
        free(type);
        return NULL;
    }
    return type_if_size_agrees(type, element_size(&function, maker), size, maker);
}
