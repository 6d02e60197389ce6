/* Guard: keeps the shim out of itself. A hook that runs inside the shim's own code, or in a signal
 * handler that interrupted it, passes straight through to the real function. Inline because every
 * hook pays for it. Async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_GUARD_H
#define OUTLIVE_REGISTRY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct thread;
struct thread_block;

/* The shim's whole thread-local storage: small, since it comes out of every thread's stack. */
struct guard {
    struct thread *thread;      /* NULL until the thread's first event */
    struct thread_block *block; /* its large private memory; NULL before and after its life */
    uint32_t depth;             /* > 0: inside the shim */
    uint32_t blocked;           /* bit n: the program believes signal n blocked; we keep it open */
    void *unwinding;            /* set while libunwind works: see stack_keeps_mask() */
    uintptr_t frame;            /* of the function that set depth; 0: it is just about to tell */
};

#define GUARD_FOR_GOOD UINTPTR_MAX

extern __thread struct guard guard __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* Set once the shim is ready, cleared for good by enabled=0. */
extern bool guard_active __attribute__((visibility("hidden")));

/* Called inside the shim: whether the function that set depth is gone, left by longjmp or by a
 * cancellation, so that depth is but a remnant. Then depth is 0 again and no lock is held. */
bool guard_recover(uintptr_t frame) __attribute__((visibility("hidden"), cold));
/* The calling thread will never go on where it was interrupted: it exits. */
void guard_abandon(void) __attribute__((visibility("hidden"), cold));

/* For code that must not run hooks and did not ask guard_enter(): counts. */
static inline void guard_hold(uintptr_t frame)
{
    guard.depth++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (guard.depth == 1)
        guard.frame = frame;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void guard_let_go(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (guard.depth == 1)
        guard.frame = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.depth--;
}

#define GUARD_FRAME ((uintptr_t)__builtin_frame_address(0))

/* False: pass through. */
static inline __attribute__((always_inline)) bool guard_enter(void)
{
    if (__builtin_expect(!guard_active, 0) ||
        (__builtin_expect(guard.depth != 0, 0) && !guard_recover(GUARD_FRAME)))
        return false;
    guard.depth = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.frame = GUARD_FRAME;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return true;
}

static inline void guard_leave(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.frame = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.depth = 0;
}

#endif
