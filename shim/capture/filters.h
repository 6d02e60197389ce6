/* Filters: the program's own seccomp filters, seen when it installs them. */
#ifndef OUTLIVE_CAPTURE_FILTERS_H
#define OUTLIVE_CAPTURE_FILTERS_H

/* Before prctl with these arguments. */
void filters_prctl(int option, unsigned long mode, const void *program);

#endif
