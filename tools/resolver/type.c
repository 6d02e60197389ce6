/* Type: see type.h. */
#include "type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text between the '<' at `open` and its '>', or NULL. */
static char *argument_of(const char *open)
{
    int depth = 0;
    for (const char *c = open; *c != '\0'; c++) {
        depth += *c == '<';
        depth -= *c == '>' && c[-1] != '-';
        if (depth == 0 && c > open + 1) {
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
        char *inner = argument_of(type + length - 1), *text = NULL;
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

char *type_from_function(const char *function)
{
    static const char *const makers[] = {
        "std::__new_allocator<",
        "__gnu_cxx::new_allocator<",
    };
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        const char *found = strstr(function, makers[i]);
        if (found != function)
            continue;
        char *type = argument_of(found + strlen(makers[i]) - 1);
        /* Vectors and strings of plain types are arrays: their element is no object's type. */
        if (type != NULL && strstr(function, ">::allocate(") != NULL)
            return readable(type);
        free(type);
    }
    /* make_unique<T>(...) calls operator new(sizeof(T)) itself. */
    const char *unique = strstr(function, "std::make_unique<");
    if (unique != NULL)
        return readable(argument_of(strchr(unique, '<')));
    return NULL;
}

/* Class::Class at the allocation's own address or its callers' is no proof that it makes a Class;
 * only allocators name what they make. */
char *type_of_allocation(struct module *module, uint64_t address, unsigned long size)
{
    struct frame frames[MODULE_FRAMES];
    size_t count = module_frames(module, address, frames);
    char *type = NULL;
    (void)size;
    for (size_t i = 0; i < count; i++) {
        if (type == NULL)
            type = type_from_function(frames[i].function);
        frame_free(&frames[i]);
    }
    return type;
}
