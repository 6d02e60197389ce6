/* Static name: what reports call objects of static storage and exit handlers, by their symbols.
 * Called by render.c. */
#include "report/render.h"

/* A type without what stands in angle brackets: `std::set`. */
static void write_short_type(struct text *text, const char *type)
{
    int depth = 0;
    for (; *type != '\0'; type++) {
        depth += *type == '<';
        if (depth == 0)
            text_add_char(text, *type);
        depth -= *type == '>';
    }
}

/* `serve()::cache` is an object of a function, `(anonymous namespace)::cache` is not. */
static bool is_in_function(const char *name)
{
    static const char space[] = "(anonymous namespace";
    const char *at = name;
    while ((at = text_find(at, ")::")) != NULL) {
        size_t before = (size_t)(at - name), length = sizeof space - 1;
        if (before < length || __builtin_memcmp(at - length, space, length) != 0)
            return true;
        at++;
    }
    return false;
}

void write_static_object(struct text *text, uintptr_t address, const char *type)
{
    const char *name = names_of_data(address);
    const struct module *module = modules_find(address);
    if (name == NULL) {
        text_add(text, "the static object ");
        if (module != NULL)
            text_format(text, "%s+0x%lx", base_name(module->path), address - module->bias);
        else
            text_format(text, "0x%lx", address);
        return;
    }
    text_add(text, is_in_function(name) ? "static " : "global ");
    if (type != NULL && text_find(type, " or ") == NULL) {
        write_short_type(text, type);
        text_add_char(text, ' ');
    }
    /* Of GCC's, on variables of libstdc++'s newer types: no part of the name. */
    static const char tag[] = "[abi:cxx11]";
    const char *tagged = text_find(name, tag);
    text_add_bytes(text, name, tagged == NULL ? text_length(name) : (size_t)(tagged - name));
    if (tagged != NULL)
        text_add(text, tagged + sizeof tag - 1);
}

static void write_function(struct text *text, uintptr_t function)
{
    struct named_frame frames[NAMED_INLINED];
    size_t count = names_of(function, true, frames, NAMED_INLINED);
    if (frames[count - 1].function[0] != '\0')
        text_add(text, frames[count - 1].function);
    else
        write_place(text, &frames[count - 1]);
}

void write_exit_handler(struct text *text, const struct in_handler *handler)
{
    const char *class = handler->object == 0 ? NULL : names_class_of_destructor(handler->function);
    if (class != NULL) {
        text_add(text, "the destructor of ");
        write_static_object(text, handler->object, class);
        return;
    }
    text_add(text, "the exit handler ");
    write_function(text, handler->function);
}

void write_sentence(struct text *text, const struct named_finding *named)
{
    for (const char *at = named->finding->sentence; *at != '\0'; at++)
        if (*at == FINDING_OBJECT_NAME) {
            write_static_object(text, named->finding->address, named->type);
        } else if (*at == FINDING_HANDLER_NAME) {
            text_add(text, " in ");
            write_exit_handler(text, &named->finding->ended_in);
        } else if (*at == FINDING_POINTER_NAME) {
            const char *name = names_of_data(named->finding->null_pointer);
            if (name != NULL)
                text_add(text, name);
            else
                text_format(text, "at 0x%lx", named->finding->null_pointer);
        } else if (*at == FINDING_RUNNING_NAME) {
            text_add(text, ", while it ran ");
            write_exit_handler(text, &named->finding->touched_in);
        } else if (*at == FINDING_FUNCTION_NAME) {
            write_function(text, named->finding->function);
        } else {
            text_add_char(text, *at);
        }
}
