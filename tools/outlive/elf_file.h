/* ELF file: what `outlive run` must know of a program before it starts it; `scan`, too. Pure
 * functions over the file's bytes, which may be hostile; every access is checked. */
#ifndef OUTLIVE_TOOLS_ELF_FILE_H
#define OUTLIVE_TOOLS_ELF_FILE_H

#include "patch/elf_image.h"

#include <stdbool.h>
#include <stddef.h>

enum elf_refusal {
    ELF_FINE,
    ELF_NOT_ELF,
    ELF_BROKEN,
    ELF_32_BIT,
    ELF_OTHER_MACHINE,
    ELF_NOT_EXECUTABLE,
    ELF_STATIC,
    ELF_MUSL,
    ELF_SANITIZER,
};

enum elf_refusal elf_inspect(const unsigned char *bytes, size_t size);
/* What the first bytes tell alone: up to ELF_NOT_EXECUTABLE. */
enum elf_refusal elf_inspect_header(const unsigned char *bytes, size_t size);
/* The loader's path, "" where there is none; NULL: damaged. */
const char *elf_interpreter(const struct elf_image *image);
bool elf_has_sanitizer(const struct elf_image *image);

/* One line that says what is wrong and what to do, without the file's name. */
const char *elf_refusal_text(enum elf_refusal refusal);

#endif
