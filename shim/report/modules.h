/* Modules: what is mapped where, read from /proc/self/maps when a report is written, and what was
 * there of libraries that are unloaded. One report at
 * a time (the caller holds the report lock). Async-signal-safe. */
#ifndef OUTLIVE_REPORT_MODULES_H
#define OUTLIVE_REPORT_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODULES 512
#define BUILD_ID_SIZE 41 /* SHA-1 in hexadecimal, with NUL */

struct module {
    uintptr_t start, end;         /* over all its mappings */
    uintptr_t bias;               /* address - bias is what the ELF file counts */
    char build_id[BUILD_ID_SIZE]; /* "" where unknown */
    const char *path;
};

/* Reads the map anew. */
void modules_read(void);
/* NULL for code that belongs to no file. */
const struct module *modules_find(uintptr_t address);
/* Parses one line of /proc/PID/maps (proc(5)); false if it is not one, or has no file. */
bool modules_parse_line(const char *line, size_t length, uintptr_t *start, uintptr_t *end,
                        bool *readable, uint64_t *offset, const char **path, size_t *path_length);

#endif
