/* Filters: the program's own seccomp filters, seen when it installs them. */
#ifndef OUTLIVE_CAPTURE_FILTERS_H
#define OUTLIVE_CAPTURE_FILTERS_H

/* prctl(PR_SET_SECCOMP, ...), the call itself included. */
int filters_prctl(unsigned long mode, unsigned long program, unsigned long c, unsigned long d);

#endif
