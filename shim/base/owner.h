/* Owner: which process the shim's memory belongs to. A child by fork has a copy, and one by vfork,
 * or by clone with CLONE_VM, shares its parent's; a child by _Fork() or a raw clone comes to be
 * without any handler of ours. A page that the kernel wipes in copies tells (MADV_WIPEONFORK, Linux
 * 4.14, madvise(2); before that such a copy is taken for a child that shares).
 * Async-signal-safe. */
#ifndef OUTLIVE_BASE_OWNER_H
#define OUTLIVE_BASE_OWNER_H

#include <stdbool.h>

/* Once, at start. */
void owner_start(void);
/* The memory is the calling process's, in a copy made by fork. */
void owner_renew(void);
/* True once in a copy of which nothing was told: it is the calling process's from here on. */
bool owner_claim(void);
/* The memory is another process's, with which the calling one shares it. */
bool owner_is_other(void);

#endif
