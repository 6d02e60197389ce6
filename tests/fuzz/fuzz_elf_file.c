/* Fuzzes the ELF reader of `outlive run`. */
#include "outlive/elf_file.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)elf_inspect(data, size);
    return 0;
}
