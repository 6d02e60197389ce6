/* outlive-resolver: turns addresses into names for the shim, which starts it in a process of its
 * own when it writes a report. The protocol is docs/resolver.md. */
#include "destroyed.h"
#include "module.h"
#include "type.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_address(struct module *module, const char *digits)
{
    struct frame frames[MODULE_FRAMES];
    size_t count = module_frames(module, strtoull(digits, NULL, 16), frames);
    for (size_t i = 0; i < count; i++) {
        printf("%s\t%s\t%d\n", frames[i].function, frames[i].file, frames[i].line);
        frame_free(&frames[i]);
    }
}

static void answer_data(struct module *module, const char *digits)
{
    char *name = module_data_name(module, strtoull(digits, NULL, 16));
    if (name != NULL)
        printf("%s\n", name);
    free(name);
}

static void answer_type(struct module *module, const char *rest)
{
    char *end;
    unsigned long size = strtoul(rest, &end, 10);
    char *name = type_of_allocation(module, strtoull(end, NULL, 16), size);
    if (name != NULL)
        printf("%s\n", name);
    free(name);
}

static void answer_destroyed(struct module *module, const char *digits)
{
    char *classes = destroyed_classes(module, strtoull(digits, NULL, 16));
    if (classes != NULL)
        printf("%s\n", classes);
    free(classes);
}

static struct module *select_module(char *rest)
{
    char *path = strchr(rest, ' ');
    if (path == NULL)
        return NULL;
    *path++ = '\0';
    return module_open(path, rest);
}

/* Reads one line without its line feed. One that is too long is a bad request, not two: it is read
 * to its end and left empty. */
static bool read_request(char *line, size_t size)
{
    if (fgets(line, (int)size, stdin) == NULL)
        return false;
    size_t length = strcspn(line, "\n");
    if (line[length] == '\0' && length == size - 1) {
        int c;
        while ((c = getchar()) != EOF && c != '\n')
            continue;
        length = 0;
    }
    line[length] = '\0';
    return true;
}

int main(int count, char **arguments)
{
    static char line[4700];
    struct module *module = NULL;
    (void)arguments;
    if (count > 1) {
        fputs("outlive-resolver: reads requests from standard input, see docs/resolver.md\n",
              stderr);
        return 2;
    }
    unsetenv("DEBUGINFOD_URLS"); /* a report must not wait for the network */
    while (read_request(line, sizeof line)) {
        if (strncmp(line, "M ", 2) == 0) {
            module = select_module(line + 2);
            continue;
        }
        if (module != NULL && strncmp(line, "A ", 2) == 0)
            answer_address(module, line + 2);
        else if (module != NULL && strncmp(line, "V ", 2) == 0)
            answer_data(module, line + 2);
        else if (module != NULL && strncmp(line, "T ", 2) == 0)
            answer_type(module, line + 2);
        else if (module != NULL && strncmp(line, "D ", 2) == 0)
            answer_destroyed(module, line + 2);
        putchar('\n');
        if (fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
