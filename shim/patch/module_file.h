/* Module file: the ELF file of a module, and the separate file that holds its symbols where they
 * are stripped, both mapped read-only. Raw system calls, no allocation, async-signal-safe. Used
 * where entries are patched, and by `outlive scan`. */
#ifndef OUTLIVE_PATCH_MODULE_FILE_H
#define OUTLIVE_PATCH_MODULE_FILE_H

#include "patch/functions.h"

#define MODULE_FILE_PATH 1024

/* Large: keep it in static storage. */
struct module_file {
    struct elf_image image;
    struct elf_image debug;      /* size 0: none */
    char path[MODULE_FILE_PATH]; /* links resolved, where /proc can tell */
    char debug_path[MODULE_FILE_PATH];
};

/* "/proc/self/exe" is the executable. False: not a readable ELF file; nothing stays mapped. */
bool module_file_open(struct module_file *file, const char *path);

/* Looks for the separate debug file: by build-id below /usr/lib/debug; else by its name in
 * .gnu_debuglink beside the file, in .debug there, and below /usr/lib/debug. One whose build-id
 * (or, without one, whose checksum) is another is passed over. False: none. */
bool module_file_open_debug(struct module_file *file);

/* The file is the one that was loaded with this bias, not a newer one at the same path: headers and
 * notes in memory are its own. The bias must be that of a mapped module. */
bool module_file_is_loaded(const struct module_file *file, uintptr_t bias);

/* functions_by_symbol() over both files. */
bool module_file_functions(const struct module_file *file, function_visitor visit, void *context);

void module_file_close(struct module_file *file);

#endif
