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
    /* Inside the shim: the frame of the function that entered, or GUARD_FOR_GOOD; else 0. One word,
     * since a signal handler may leave between any two. */
    uintptr_t inside;
    uintptr_t before_fork;
    uint32_t blocked; /* bit n: the program believes signal n blocked; we keep it open */
    void *unwinding;  /* set while libunwind works: see stack_keeps_mask() */
};

#define GUARD_FOR_GOOD UINTPTR_MAX

extern __thread struct guard guard __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* Set once the shim is ready, cleared for good by enabled=0. */
extern bool guard_active __attribute__((visibility("hidden")));

/* Called inside the shim: whether the function that entered is gone, left by longjmp or by a
 * cancellation, so that this is but a remnant. Then nothing is inside, and no lock is held. */
bool guard_recover(uintptr_t frame) __attribute__((visibility("hidden"), cold));
/* The calling thread will never go on where it was interrupted: it exits. */
void guard_abandon(void) __attribute__((visibility("hidden"), cold));

#define GUARD_FRAME ((uintptr_t)__builtin_frame_address(0))

static inline void guard_set(uintptr_t inside)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.inside = inside;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* For code that must not run hooks whether or not it is inside already: what guard_let_go() wants
 * back. */
static inline uintptr_t guard_hold(uintptr_t frame)
{
    uintptr_t before = guard.inside;
    if (before == 0)
        guard_set(frame);
    return before;
}

static inline void guard_let_go(uintptr_t before)
{
    guard_set(before);
}

/* False: pass through. */
static inline __attribute__((always_inline)) bool guard_enter(void)
{
    if (__builtin_expect(!guard_active, 0) ||
        (__builtin_expect(guard.inside != 0, 0) && !guard_recover(GUARD_FRAME)))
        return false;
    guard_set(GUARD_FRAME);
    return true;
}

static inline void guard_leave(void)
{
    guard_set(0);
}

#endif
