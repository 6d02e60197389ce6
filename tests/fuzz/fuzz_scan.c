/* Fuzzes all of `outlive scan` behind the opening of the file, both outputs included. */
#include "outlive/scan/scan.h"

const char *demangled(const char *name)
{
    return name; /* the demangler is not ours */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    static unsigned rounds;
    struct scan scan = {.path = "fuzzed\n\"file\xff"};
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL || !elf_image_open(&scan.file.image, data, size))
        return 0;
    if (scan_read(&scan)) {
        if (rounds++ % 64 == 0) /* they are files of this machine */
            scan_find_libraries(&scan);
        scan_print(&scan, true, nowhere);
        scan_print_json(&scan, true, nowhere);
    }
    scan_free(&scan);
    return 0;
}
