/* Atexit calls: the places in a file's code that call an imported function, found by their bytes.
 * Used to count where destructors of static objects are registered. Called by scan.c. */
#ifndef OUTLIVE_TOOLS_SCAN_ATEXIT_CALLS_H
#define OUTLIVE_TOOLS_SCAN_ATEXIT_CALLS_H

#include "patch/elf_image.h"

/* Direct calls and tail jumps by way of the procedure linkage table, and indirect calls by the
 * global offset table. Calls through pointers are not seen. */
size_t count_calls(const struct elf_image *image, const char *function);

#endif
