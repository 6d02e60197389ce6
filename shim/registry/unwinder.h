/* Unwinder: libunwind as it was loaded, for the files that unwind. */
#ifndef OUTLIVE_REGISTRY_UNWINDER_H
#define OUTLIVE_REGISTRY_UNWINDER_H

#include <stdbool.h>
#include <stdint.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

struct unwinder {
    int (*backtrace)(void **, int);
    int (*getcontext)(unw_context_t *);
    int (*init_local2)(unw_cursor_t *, unw_context_t *, int);
    int (*step)(unw_cursor_t *);
    int (*get_register)(unw_cursor_t *, unw_regnum_t, unw_word_t *);
    int (*get_information)(unw_addr_space_t, unw_word_t, unw_proc_info_t *, void *);
    unw_addr_space_t space;
    uintptr_t start, end; /* its code and data */
    bool loaded;
};

extern struct unwinder unwinder __attribute__((visibility("hidden")));

/* libunwind may open files: that must neither act as a cancellation point nor change errno. It also
 * blocks all signals for a moment, often many times in one walk, and sets the mask back through
 * libc, which leaves out libc's own signals: libc's timer thread lives by one of these, and
 * inherits its mask from whoever makes it. So its calls are taken, the first blocks signals in
 * earnest, and the end of the walk sets back what was. Most walks are served by its caches and
 * block nothing. */
struct quiet {
    int error, cancellation;
    bool blocked;
    uint64_t mask;
    void *interrupted; /* a walk that a fault interrupted */
};

void quiet_begin(struct quiet *quiet);
void quiet_end(struct quiet *quiet);
/* It is loaded, and the calling thread may use it. */
bool may_unwind(void);
bool in_trampoline(uintptr_t address);

#endif
