/* Facts: gathers what scan.h lists, and draws the conclusions that both outputs tell. Called by
 * scan.c. */
#include "outlive/scan/atexit_calls.h"
#include "outlive/scan/libraries.h"
#include "outlive/scan/scan.h"

#include <stdlib.h>
#include <string.h>

/* NULL: the names at the place do not tell. */
static const char *allocator_of(const struct known_names *names, enum name_place place)
{
    static const struct {
        unsigned group;
        const char *name;
    } makers[] = {{NAME_JEMALLOC, "jemalloc"},
                  {NAME_TCMALLOC, "tcmalloc"},
                  {NAME_MIMALLOC, "mimalloc"},
                  {NAME_TBB, "tbbmalloc"},
                  {NAME_GLIBC, "glibc's malloc"}};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (names_count(names, makers[i].group, place) > 0)
            return makers[i].name;
    return NULL;
}

static void provide(struct scan_provider *provider, const struct library *library,
                    const struct known_names *names)
{
    provider->name = strdup(library->name);
    provider->path = strdup(library->path);
    provider->allocator = allocator_of(names, NAME_EXPORTED);
}

static void add_library(const struct library *library, void *context)
{
    struct scan *scan = context;
    struct scan_library *grown =
        realloc(scan->libraries, (scan->library_count + 1) * sizeof *scan->libraries);
    if (grown == NULL)
        return;
    scan->libraries = grown;
    grown[scan->library_count++] = (struct scan_library){
        strdup(library->name), library->path == NULL ? NULL : strdup(library->path),
        library->direct};
    if (library->image == NULL || library->path == NULL)
        return;
    static struct known_names names;
    names_start(&names);
    names_read(&names, library->image);
    const struct known_name *malloc_row = names_find(&names, "malloc");
    const struct known_name *new_row = names_find(&names, "_Znwm");
    if (scan->malloc_provider.name == NULL && malloc_row->place == NAME_EXPORTED)
        provide(&scan->malloc_provider, library, &names);
    if (scan->new_provider.name == NULL && new_row->place == NAME_EXPORTED)
        provide(&scan->new_provider, library, &names);
}

static enum name_place place_of(const struct known_names *names, unsigned group,
                                const char *decisive)
{
    const struct known_name *row = names_find(names, decisive);
    if (row->place != NAME_ABSENT)
        return row->place;
    if (names_count(names, group, NAME_EXPORTED) > 0)
        return NAME_EXPORTED;
    if (names_count(names, group, NAME_INSIDE) > 0)
        return NAME_INSIDE;
    return names_count(names, group, NAME_IMPORTED) > 0 ? NAME_IMPORTED : NAME_ABSENT;
}

enum name_place scan_heap_place(const struct scan *scan)
{
    return place_of(&scan->names, NAME_HEAP, "malloc");
}

enum name_place scan_operators_place(const struct scan *scan)
{
    return place_of(&scan->names, NAME_OPERATOR, "_Znwm");
}

static bool has_unpatchable_entry(const struct scan *scan)
{
    for (size_t i = 0; scan->code.judged && i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & NAME_HEAP) == 0 || !name_is_at(name, NAME_INSIDE))
            continue;
        const struct code_function *function = code_find(&scan->code, name->address);
        if (function != NULL && function->refusal != PATCH_FINE)
            return true;
    }
    return false;
}

const char *scan_heap_refusal(const struct scan *scan)
{
    enum name_place heap = scan_heap_place(scan);
    if (scan->facts.is_library || (heap != NAME_INSIDE && heap != NAME_EXPORTED))
        return NULL;
    return scan->facts.lto != NULL ? "built with link-time optimisation, which may have put copies "
                                     "of it into its callers"
           : has_unpatchable_entry(scan) ? "an entry cannot be patched"
                                         : NULL;
}

bool scan_read(struct scan *scan)
{
    const struct module_file *file = &scan->file;
    names_start(&scan->names);
    names_read(&scan->names, &file->image);
    if (file->debug.size != 0)
        names_read(&scan->names, &file->debug);
    file_read(&scan->facts, file);
    if (!code_read(&scan->code, file))
        return false;
    scan->allocator = allocator_of(&scan->names, NAME_INSIDE);
    scan->registrations = count_calls(&file->image, "__cxa_atexit");
    scan->thread_registrations = count_calls(&file->image, "__cxa_thread_atexit") +
                                 count_calls(&file->image, "__cxa_thread_atexit_impl");
    return true;
}

void scan_find_libraries(struct scan *scan)
{
    libraries_walk(&scan->file.image, scan->file.path, add_library, scan);
}

void scan_free(struct scan *scan)
{
    code_free(&scan->code);
    for (size_t i = 0; i < scan->library_count; i++) {
        free(scan->libraries[i].name);
        free(scan->libraries[i].path);
    }
    free(scan->libraries);
    free(scan->malloc_provider.name);
    free(scan->malloc_provider.path);
    free(scan->new_provider.name);
    free(scan->new_provider.path);
}

const char *scan_refusal(const struct scan *scan)
{
    const struct file_facts *facts = &scan->facts;
    if (facts->is_library)
        return NULL;
    return facts->is_static ? "it is statically linked: no library can be preloaded"
           : facts->musl    ? "it is linked against musl: Outlive watches glibc programs only"
           : facts->sanitizer
               ? "it is built with a sanitizer, which takes the same functions: build it without"
               : NULL;
}

struct list {
    struct scan_warning *rows;
    size_t count;
};

static void warn(struct list *list, bool condition, const char *id, const char *text)
{
    if (condition && list->count < WARNINGS_MOST)
        list->rows[list->count++] = (struct scan_warning){id, text};
}

static void warn_of_heap(struct list *list, const struct scan *scan)
{
    enum name_place heap = scan_heap_place(scan);
    bool inside = heap == NAME_INSIDE || heap == NAME_EXPORTED;
    warn(
        list, inside && !scan->facts.is_library && !scan->facts.is_static, "own-malloc",
        "the program brings its own malloc: its calls never pass a preloaded library, only patched "
        "entries show them. It is taken over whole or not at all: what else its code does with the "
        "allocator shows at the start, and one line tells if it is left alone");
    warn(list, scan_heap_refusal(scan) != NULL, "heap-refused",
         "its heap will not be seen: see malloc, free above");
    warn(list, names_count(&scan->names, NAME_EXTENSION, NAME_IMPORTED) > 0, "allocator-calls",
         "calls an allocator of a library by that one's own names (mallocx, mi_malloc, ...): such "
         "blocks are not seen");
    warn(list, !inside && names_count(&scan->names, NAME_EXTENSION, NAME_INSIDE) > 0,
         "second-allocator",
         "has a second allocator inside, under names of its own: its cold blocks get places of "
         "their own, hot ones are not poisoned");
}

size_t scan_warnings(const struct scan *scan, struct scan_warning warnings[WARNINGS_MOST])
{
    const struct file_facts *facts = &scan->facts;
    struct list list = {warnings, 0};
    size_t missing = 0;
    for (size_t i = 0; i < scan->library_count; i++)
        missing += scan->libraries[i].path == NULL;
    warn(&list, facts->is_static, "static",
         "statically linked: no library can be preloaded, nothing is seen");
    warn(&list, facts->musl, "musl", "linked against musl: Outlive watches glibc programs only");
    warn(&list, facts->sanitizer, "sanitizer",
         "built with a sanitizer, which takes the same functions: build it without");
    warn(&list, scan->setuid, "setuid",
         "setuid: the loader ignores preloaded libraries, unless its owner runs it");
    warn(&list, scan->setgid, "setgid",
         "setgid: the loader ignores preloaded libraries, unless its group runs it");
    warn(&list, scan->capabilities, "capabilities",
         "has file capabilities: the loader ignores preloaded libraries, unless root runs it");
    warn(&list, facts->go, "go",
         "has Go inside, whose threads are made by raw system calls: they are not seen");
    warn_of_heap(&list, scan);
    warn(&list, missing > 0, "library-missing",
         "needs libraries that are not found here: where malloc comes from may be told wrong");
    warn(&list, !facts->symtab && !facts->debug_symtab, "stripped",
         "stripped, and no separate debug file is here: only exported functions have names, so "
         "destructors and an allocator inside may be missed");
    warn(&list, !facts->symtab && !facts->debug_symtab && facts->compressed_symtab, "minidebuginfo",
         "has its symbols compressed in .gnu_debugdata, which is not read");
    warn(&list, scan->file.image.header.e_shoff != 0 && scan->file.image.sections == 0,
         "no-sections", "its section headers are cut off: read as if stripped");
    warn(&list, !facts->dwarf && !facts->debug_dwarf, "no-debug-info",
         "no debug information: reports name functions, but no lines and no types");
    warn(&list, !facts->unwind, "no-unwind-tables",
         "no .eh_frame: stacks through its functions end early");
    warn(&list, facts->lto != NULL, "lto",
         "optimised when linked: more destructors and small functions are inlined, where no hook "
         "sees them");
    warn(&list, facts->is_library && facts->symbolic, "symbolic",
         "binds its calls to its own functions inside (-Bsymbolic): no preloaded library sees "
         "these");
    warn(&list, !scan->code.judged, "no-decoder",
         "libZydis is not installed here: what can be patched is not told, and nothing can be");
    return list.count;
}
