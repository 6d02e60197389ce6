/* Scan: all that `outlive scan` tells of a file, as plain data, and the two ways to tell it. */
#ifndef OUTLIVE_TOOLS_SCAN_SCAN_H
#define OUTLIVE_TOOLS_SCAN_SCAN_H

#include "outlive/scan/code.h"
#include "outlive/scan/file.h"
#include "outlive/scan/names.h"

#include <stdio.h>

struct scan_library {
    char *name, *path; /* path NULL: not found */
    bool direct;
};

/* Who defines a function that the file imports: the first of the libraries that it needs. */
struct scan_provider {
    char *name, *path; /* NULL: none */
    const char *allocator;
};

struct scan {
    const char *path; /* as the user gave it */
    struct module_file file;
    struct file_facts facts;
    struct known_names names;
    struct code code;
    const char *allocator; /* who made the one inside; NULL: none is */
    struct scan_library *libraries;
    size_t library_count;
    struct scan_provider malloc_provider, new_provider;
    size_t registrations, thread_registrations; /* calls in the code that register destructors */
    bool setuid, setgid, capabilities;
};

/* Fills in what the bytes in scan->file tell; the rest of `scan` is zero before. False: no memory.
 */
bool scan_read(struct scan *scan);
/* Finds and reads the libraries that it needs. */
void scan_find_libraries(struct scan *scan);
void scan_free(struct scan *scan); /* not the file */

/* Where the calls of malloc and its family end up. */
enum name_place scan_heap_place(const struct scan *scan);
/* Why the program's own heap is left alone, as far as the file tells; NULL: it is not. */
const char *scan_heap_refusal(const struct scan *scan);
enum name_place scan_operators_place(const struct scan *scan);

#define WARNINGS_MOST 24

struct scan_warning {
    const char *id, *text;
};

size_t scan_warnings(const struct scan *scan, struct scan_warning warnings[WARNINGS_MOST]);
/* Why `outlive run` would not run it; NULL: it would. */
const char *scan_refusal(const struct scan *scan);

void scan_print(const struct scan *scan, bool refused, FILE *out);
void scan_print_json(const struct scan *scan, bool refused, FILE *out);

/* The name as in the source, in static storage until the next call; as it is where that cannot be
 * told in bounded time and memory. */
const char *demangled(const char *name);

#endif
