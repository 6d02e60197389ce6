/* Destroyed: see destroyed.h. */
#include "destroyed.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

char *class_of_destructor(const char *function)
{
    const char *tilde = NULL;
    for (const char *at = function; (at = strstr(at, "::~")) != NULL; at += 3)
        tilde = at;
    /* The last one: classes local to a destructor's body have another before it. */
    return tilde == NULL || tilde == function ? NULL
                                              : strndup(function, (size_t)(tilde - function));
}

static bool is_among(char *const *classes, size_t count, const char *class)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(classes[i], class) == 0)
            return true;
    return false;
}

static char *joined(char *const *classes, size_t count)
{
    size_t length = 1;
    for (size_t i = 0; i < count; i++)
        length += strlen(classes[i]) + strlen(" or ");
    char *text = calloc(length, 1);
    for (size_t i = 0; i < count && text != NULL; i++) {
        strcat(text, i == 0 ? "" : " or ");
        strcat(text, classes[i]);
    }
    return text;
}

char *destroyed_classes(struct module *module, uint64_t address)
{
    char *classes[MOST], *text = NULL;
    size_t count = 0;
    const char *name;
    for (int i = 0; count < MOST && (name = module_name_at(module, &i, address)) != NULL;) {
        char *function = demangled(name);
        char *class = function == NULL ? NULL : class_of_destructor(function);
        free(function);
        if (class != NULL && !is_among(classes, count, class))
            classes[count++] = class;
        else
            free(class);
    }
    if (count > 0)
        text = joined(classes, count);
    while (count > 0)
        free(classes[--count]);
    return text;
}
