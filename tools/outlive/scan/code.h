/* Code: all functions of a file, and which of them Outlive could patch. Called by scan.c. */
#ifndef OUTLIVE_TOOLS_SCAN_CODE_H
#define OUTLIVE_TOOLS_SCAN_CODE_H

#include "patch/destructor.h"
#include "patch/module_file.h"
#include "patch/patch.h"

/* Beyond enum patch_refusal. */
enum { CODE_NO_SIZE = PATCH_REFUSALS, CODE_NOT_IN_FILE, CODE_OVERLAPS, CODE_REFUSALS };

struct code_function {
    uint64_t start, size;
    const char *name;      /* as mangled; NULL: from .eh_frame */
    unsigned char refusal; /* enum patch_refusal, or one of the above */
    bool is_destructor;
};

enum code_source { CODE_FROM_SYMTAB, CODE_FROM_DEBUG_FILE, CODE_FROM_FRAMES };

struct code {
    enum code_source source;
    struct code_function *functions; /* each entry once, by address */
    size_t count;
    bool judged;                   /* false: libZydis is not there */
    size_t refused[CODE_REFUSALS]; /* [PATCH_FINE]: those that can be patched */
    size_t destructors[DESTRUCTOR_KINDS], destructor_entries, destructor_patchable, classes;
    size_t initialisers; /* of static objects: a function for each source file that has some */
    size_t guards;       /* static objects in functions, made at the first call */
};

/* False: no memory. `code` is empty before. */
bool code_read(struct code *code, const struct module_file *file);
void code_free(struct code *code);
/* NULL: no function starts there. */
const struct code_function *code_find(const struct code *code, uint64_t start);
/* "too-short", for JSON. */
const char *code_refusal_name(unsigned refusal);
const char *code_refusal_text(unsigned refusal);

#endif
