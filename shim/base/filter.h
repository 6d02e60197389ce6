/* Filter: what the program's own seccomp filters would do to the shim's system calls. A filter is
 * run here, on the calls as the shim makes them, before the kernel gets it; calls for which the
 * kernel would kill or signal fail in system.h from then on, as any call may fail. Filters from
 * before the program's start are not known. */
#ifndef OUTLIVE_BASE_FILTER_H
#define OUTLIVE_BASE_FILTER_H

#include "base/system.h"

#include <linux/filter.h>
#include <stdbool.h>

/* The calls that were not refused before. */
struct filter_marks {
    uint64_t calls[SYSTEM_CALLS / 64];
};

/* A classic BPF program over struct seccomp_data (seccomp(2)) is about to come into force. The
 * pointer is the program's own and may lead nowhere: then nothing is noted, as the kernel will take
 * nothing. */
void filter_note(const struct sock_fprog *program, struct filter_marks *marks);
/* SECCOMP_MODE_STRICT: read, write, exit and sigreturn only. */
void filter_note_strict(struct filter_marks *marks);
/* The kernel did not take it. */
void filter_take_back(const struct filter_marks *marks);
/* Some call in the list, which ends with -1, is refused. */
bool filter_refuses(const int *calls);

#endif
