/* Need: which thread has told, by outlive_thread_needs(), that it will use which object until it
 * ends. Adding takes a lock: between guard_enter() and guard_leave(). Everything else takes none
 * and is async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_NEED_H
#define OUTLIVE_REGISTRY_NEED_H

#include "registry/stack.h"
#include "registry/thread.h"

#include <stdatomic.h>

struct need {
    _Atomic thread_reference thread; /* 0: free */
    uint32_t stack;                  /* of the call, kept */
    uintptr_t address;               /* of the object */
    size_t size;
    uint64_t ticks;
};

/* Some need was told: objects that are destroyed are worth a look. */
extern _Atomic bool need_any __attribute__((visibility("hidden")));

/* By the calling thread. False: too many are told of threads that live. */
bool need_add(uintptr_t address, size_t size, struct caller caller);
/* The calling thread no longer needs the object that holds the address. */
void need_drop(uintptr_t address);
/* Takes away the needs of objects that begin between first and first + size, and copies those of
 * other threads than the caller that live, at most `most`; returns how many. */
size_t need_end(uintptr_t first, size_t size, struct need *needs, size_t most);

void need_prepare_fork(void);
void need_forked(bool child);

#endif
