/* A stand-in for liboutlive.so: does to the status page what STUB says, letter by letter, so that
 * the command's verdicts are tested without findings. Loaded by check-run through OUTLIVE_LIBRARY.
 * l: came up, c: a confirmed finding, p: a possible one, b: blind to the heap, s: a spilled report,
 * S: more spilled than there is room, r: says on standard error what is preloaded and the options.
 */
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void spill(struct status *page, const char *words)
{
    size_t length = strlen(words);
    uint32_t at = atomic_fetch_add(&page->spill_length, (uint32_t)length);
    if (at + length <= STATUS_SPILL_SIZE)
        memcpy(page->spill + at, words, length);
}

__attribute__((constructor)) static void start(void)
{
    const char *number = getenv(STATUS_VARIABLE), *letters = getenv("STUB");
    if (number == NULL || letters == NULL)
        return;
    int file = atoi(number);
    struct status *page = mmap(NULL, STATUS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED || page->magic != STATUS_MAGIC || page->version != STATUS_VERSION)
        abort();
    close(file);
    unsetenv(STATUS_VARIABLE);
    for (; *letters != '\0'; letters++) {
        if (*letters == 'l')
            atomic_fetch_add(&page->loaded, 1);
        if (*letters == 'c')
            atomic_fetch_add(&page->confirmed, 1);
        if (*letters == 'p')
            atomic_fetch_add(&page->possible, 1);
        if (*letters == 'b')
            atomic_store(&page->blind_heap, 1);
        if (*letters == 's')
            spill(page, "a spilled report\n");
        if (*letters == 'S')
            atomic_fetch_add(&page->spill_length, 4 * STATUS_SIZE);
        if (*letters == 'r')
            fprintf(stderr, "preload=%s options=%s\n", getenv("LD_PRELOAD"),
                    getenv("OUTLIVE_OPTIONS"));
    }
    munmap(page, STATUS_SIZE);
}
