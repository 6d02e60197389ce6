/* Module: one ELF file with its symbols and debug information, by way of elfutils. Used by the
 * resolver's main loop and type.c. Not thread-safe. */
#ifndef OUTLIVE_RESOLVER_MODULE_H
#define OUTLIVE_RESOLVER_MODULE_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODULE_FRAMES 16

struct module;

/* Strings are the caller's, see frame_free(); never NULL. */
struct frame {
    char *function; /* demangled, "" unknown */
    char *file;     /* "" unknown */
    int line;       /* 0 unknown */
};

/* Opens the file, or finds it among those open; stays open until exit. build_id: lower-case
 * hexadecimal, or "-" for any. NULL if it cannot be read or is another build. */
struct module *module_open(const char *path, const char *build_id);

/* The frames at an address as the file counts, innermost inlined one first; 0 if unknown. */
size_t module_frames(struct module *module, uint64_t address, struct frame *frames);
void frame_free(struct frame *frame);

/* The data symbol that covers the address, demangled, or NULL. The caller frees it. */
char *module_data_name(struct module *module, uint64_t address);

/* The compilation unit at an address as the file counts, and the address as its debug information
 * counts. False without debug information. */
bool module_unit(struct module *module, uint64_t address, Dwarf_Die *unit, Dwarf_Addr *inside);

/* The file itself, not its separate debug information; NULL if unreadable. The module's. */
Elf *module_elf(struct module *module);

/* The raw name of the function that begins at exactly this address, or NULL. The module's. */
const char *module_function_at(struct module *module, uint64_t address);

/* The raw names of functions that begin at exactly this address, one a call; *at is 0 at first.
 * NULL past the last. The module's. */
const char *module_name_at(struct module *module, int *at, uint64_t address);

/* Follows an inlined or out-of-line copy to where the function is declared; returns `into`. */
Dwarf_Die *declaration_of(Dwarf_Die *die, Dwarf_Die *into);

/* The name with its namespaces and classes, or NULL. The caller frees it. */
char *qualified_name(Dwarf_Die *die);

/* The demangled name, or a copy of the name as it is. The caller frees it. */
char *demangled(const char *name);

#endif
