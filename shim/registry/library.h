/* Library: the libraries that came after the start and are unloaded again: where each was, and by
 * which calls of dlopen and dlclose it came and went. Records outlive the library, so that reports
 * can name its code; the oldest are reused. Lock-free: reading is async-signal-safe. What lists the
 * loaded libraries takes the loader's lock: between guard_enter() and guard_leave(). */
#ifndef OUTLIVE_REGISTRY_LIBRARY_H
#define OUTLIVE_REGISTRY_LIBRARY_H

#include "patch/elf_image.h"
#include "registry/stack.h"
#include "registry/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LIBRARIES 256
#define LIBRARY_PATH_SIZE 512

enum library_state {
    LIBRARY_UNUSED,
    LIBRARY_TAKEN,   /* being filled in */
    LIBRARY_LEAVING, /* a dlclose runs that may unload it */
    LIBRARY_GONE,
};

struct library_event {
    thread_reference thread;
    uint32_t stack; /* kept; 0: the event was not seen */
    uint64_t ticks;
};

struct library {
    _Atomic uint32_t state;
    uintptr_t start, end; /* over all its segments */
    uintptr_t bias;
    char path[LIBRARY_PATH_SIZE];
    unsigned char build_id[ELF_BUILD_ID_SIZE];
    size_t build_id_size;
    struct library_event load, unload;
    uint64_t left; /* ticks: when it was found to be gone */
};

/* What is loaded now stays loaded. Once, at start. */
void library_start(void);

/* dlopen was entered. */
void library_opening(const char *file, struct caller caller);
/* Some dlopen was seen: before that no code lies in a library that can be unloaded. */
extern _Atomic bool library_any_opened __attribute__((visibility("hidden")));
/* The address lies in a library that came after the start, and is still loaded. */
bool library_is_late(uintptr_t address);

/* dlclose was entered, on that stack: a record for each library that may go. Returns how many. */
size_t library_leaving(struct library **list, size_t most, uint32_t stack);
/* It has returned: which are gone, and were not found to be so by another dlclose, are moved to the
 * front. Returns how many. */
size_t library_left(struct library **list, size_t count);

/* It will not return. */
void library_forget(struct library **list, size_t count);

/* The library that was last at the address, which nothing may be at now; or NULL. */
const struct library *library_at(uintptr_t address);
/* Numbers below LIBRARIES; NULL where it is not of a library that is gone, or is about to go. */
const struct library *library_of_number(uint32_t number);

#endif
