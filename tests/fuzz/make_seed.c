/* Writes the small ELF file of tests/unit to standard output: a seed for the fuzzers of ELF files.
 */
#include "unit/small_elf.h"

#include <stdio.h>

int main(void)
{
    static struct small_elf elf;
    small_elf_make(&elf);
    return fwrite(&elf, sizeof elf, 1, stdout) == 1 && fflush(stdout) == 0 ? 0 : 1;
}
