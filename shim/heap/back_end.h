/* Back end: how the memory of a guarded object is made dead. Used by the arena only.
 *
 * marker       guard markers (MADV_GUARD_INSTALL, Linux 6.13, madvise(2)): no memory, no mapping
 * userfaultfd  pages are missing, and an access to one raises SIGBUS instead of making a new one
 *              (UFFD_FEATURE_SIGBUS, Linux 4.14, ioctl_userfaultfd(2)); calls of the kernel fail
 * with EFAULT. No memory, no mapping. Where the system allows it: as root, by
 *              vm.unprivileged_userfaultfd=1, or for faults of user mode only from Linux 5.11 on.
 * mprotect     PROT_NONE, about one mapping for each run of dead neighbours; the only one that can
 * give the content back
 *
 * All but back_end_start() and back_end_open() are async-signal-safe. */
#ifndef OUTLIVE_HEAP_BACK_END_H
#define OUTLIVE_HEAP_BACK_END_H

#include "base/options.h"

#include <stdint.h>

enum back_end { BACK_OFF, BACK_MARKER, BACK_USERFAULT, BACK_MPROTECT };
extern enum back_end back_end __attribute__((visibility("hidden")));

/* Chooses by a probe. The arena's addresses are [first, last). */
void back_end_start(const struct options *options);
const char *back_end_name(void);
/* The content of what died is kept, and can be had again. */
bool back_end_keeps_content(void);

/* Makes reserved addresses usable: a multiple of pages. False: the kernel refused. */
bool back_end_open(uintptr_t start, size_t size);
/* Before a place in it is used for the first time. False: the kernel refused. */
bool back_end_fill(uintptr_t place, size_t size);
/* Closes a place. False: the kernel refused, it stays readable. */
bool back_end_kill(uintptr_t place, size_t size);
/* All in it is dead and will not be used again: one mapping, no page tables. */
void back_end_close(uintptr_t start, size_t size);
/* Another mapping may be made by a death. */
bool back_end_has_room(void);
/* In the child of fork. [first, opened): what was opened. False: what died before the fork reads as
 * zeros; the back end is mprotect now. */
bool back_end_forked(uintptr_t first, uintptr_t opened);

#endif
