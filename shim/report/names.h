/* Names: turns addresses into functions and lines by asking the resolver, a process of its own
 * (docs/resolver.md). It is made without an exit signal, so the program sees no SIGCHLD, and is
 * gone before names_end() returns. One report at a time; strings live until the next
 * names_begin(). Async-signal-safe. */
#ifndef OUTLIVE_REPORT_NAMES_H
#define OUTLIVE_REPORT_NAMES_H

#include "base/options.h"
#include "report/modules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct named_frame {
    uintptr_t address;
    const char *function;        /* "" unknown */
    const char *file;            /* "" unknown */
    uint32_t line;               /* 0 unknown */
    bool inlined;                /* more frames of the same address follow */
    const struct module *module; /* NULL: code of no file */
};

#define NAMED_INLINED 16

/* Where the resolver is; once, at start. */
void names_start(const struct options *options);

void names_begin(void);
/* The frames at an address, innermost inlined one first; at least one. exact: the address is the
 * instruction itself, not a return address. */
size_t names_of(uintptr_t address, bool exact, struct named_frame *frames, size_t most);
/* The class whose vtable the word points into, or NULL. */
const char *names_class_of_vtable(uint64_t word);
/* The data symbol that covers the address, or NULL. */
const char *names_of_data(uintptr_t address);
/* The type that the allocation at that return address made, or NULL. */
const char *names_type_of_allocation(uintptr_t address, size_t size);
/* The class, or the classes joined by " or ", whose destructor begins there, or NULL. */
const char *names_class_of_destructor(uintptr_t function);
void names_end(void);

#endif
