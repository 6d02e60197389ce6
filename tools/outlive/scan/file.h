/* File: what kind of ELF file it is, how it was built and linked, and what it says for debuggers.
 * Called by scan.c. */
#ifndef OUTLIVE_TOOLS_SCAN_FILE_H
#define OUTLIVE_TOOLS_SCAN_FILE_H

#include "patch/module_file.h"

enum file_relro { RELRO_NONE, RELRO_PARTIAL, RELRO_FULL };

#define COMPILERS_MOST 4

struct file_facts {
    bool is_library;
    bool is_static;          /* a program that no loader loads */
    bool is_pie;             /* at any address */
    const char *interpreter; /* "" where there is none */
    const char *soname;      /* likewise */
    bool musl, sanitizer, go;
    enum file_relro relro;
    bool bound_now, symbolic, ibt, shstk;

    bool symtab, dwarf, unwind, compressed_symtab; /* the last: .gnu_debugdata */
    bool debug_symtab, debug_dwarf;                /* of the separate debug file */
    unsigned char build_id[ELF_BUILD_ID_SIZE];
    size_t build_id_length;

    const char *compilers[COMPILERS_MOST]; /* from .comment */
    size_t compiler_count;
    const char *lto; /* what shows that it was optimised when linked; NULL: nothing does */
};

void file_read(struct file_facts *facts, const struct module_file *file);

#endif
