/* Stack: capturing the calling thread's stack, and the depot in which full stacks are kept once
 * each. Unwinding is libunwind's, loaded privately: its library exports `backtrace` and
 * `_Unwind_RaiseException`, which must not come before the program's own. Nothing here takes a lock
 * of ours while libunwind runs, since that takes the loader's. */
#ifndef OUTLIVE_REGISTRY_STACK_H
#define OUTLIVE_REGISTRY_STACK_H

#include "registry/stack_cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/* Where a hook was entered: the return address into the program and the slot that holds it. */
struct caller {
    uintptr_t address, slot;
};

/* In the outermost function of a hook only. */
#define CALLER_HERE()                                                                              \
    ((struct caller){(uintptr_t)__builtin_return_address(0),                                       \
                     (uintptr_t)__builtin_frame_address(0) + sizeof(void *)})

/* The same in hooks that a relay of the capture layer may call, with its frame pointer in %rbp: the
 * caller is then the relay's. */
#define CALLER_OF_RELAY() stack_caller_of_relay(CALLER_HERE())

/* Where relays call hooks. */
extern const char stack_relay_return[] __attribute__((visibility("hidden")));

static inline struct caller stack_caller_of_relay(struct caller caller)
{
    if (__builtin_expect(caller.address == (uintptr_t)stack_relay_return, 0)) {
        uintptr_t frame = *(const uintptr_t *)(caller.slot - sizeof(void *));
        caller.slot = frame + sizeof(void *);
        caller.address = *(const uintptr_t *)caller.slot;
    }
    return caller;
}

/* Frames from the innermost out. All but `exact` ones are return addresses: subtract one before
 * asking for names. */
struct stack {
    uint32_t count;
    bool first_is_exact; /* frames[0] is a faulting instruction, not a return address */
    uintptr_t frames[STACK_FRAMES];
};

/* Loads libunwind; false: stacks are one frame deep, and the loss was told. */
bool stack_start(void);
/* No unwinding from here on: stacks are one frame deep. */
void stack_stop(void);

void stack_capture(struct stack *stack, struct caller caller);
/* Of another thread, which waits in a hook that was entered there: its stack stands still. Should
 * it go on meanwhile, the frames are wrong, but nothing worse happens. */
void stack_capture_waiting(struct stack *stack, struct caller caller);
/* Of another thread, which waits in the kernel: by its program counter and stack pointer alone.
 * Ends where the way on is not certain. As above should the thread go on. */
void stack_capture_blocked(struct stack *stack, uintptr_t address, uintptr_t pointer);
/* Words in [first, last) that a thread which waits in the kernel holds: in registers that a call
 * keeps, as the frames tell them, and in the slots of frames of up to 512 bytes. What larger frames
 * hold may be older than they are. */
#define STACK_HELD_WORDS 32
struct stack_held {
    uintptr_t first, last; /* set by the caller */
    size_t count;
    uint64_t words[STACK_HELD_WORDS];
    bool exact; /* the note was found true, so that no register is missing */
};
struct thread_sleep;
/* As stack_capture_blocked(); sleep: a copy of the thread's note, or NULL. */
void stack_hold(struct stack_held *held, struct stack *stack, const struct thread_sleep *sleep,
                uintptr_t address, uintptr_t pointer);
/* The address is one that a call returns to, by the instruction before it. */
bool stack_follows_call(uintptr_t address);
/* From the context of a signal; frames of the shim itself are left out. */
void stack_capture_context(struct stack *stack, const ucontext_t *context);

/* Captures and keeps; 0 when the depot is full. Some ten nanoseconds where the calling thread was
 * on the same stack lately, else about a microsecond. */
uint32_t stack_keep(struct caller caller);
uint32_t stack_keep_frames(const uintptr_t *frames, size_t count);
/* False for 0. Async-signal-safe. */
bool stack_get(uint32_t kept, struct stack *stack);

/* The first frames, as stack_capture() has them, at most `most`: some hundred nanoseconds. */
size_t stack_frames(struct caller caller, uintptr_t *frames, size_t most);

/* Where the function that holds the address begins, by its unwind information; 0: not known.
 * Async-signal-safe as far as libunwind is: in reports. */
uintptr_t stack_function_start(uintptr_t address);

/* For the hooks of sigprocmask and pthread_sigmask. True: libunwind called, from `address`; signals
 * are blocked until it is done, and no more is to be done now. */
bool stack_keeps_mask(uintptr_t address);

/* For the hooks of read and write: whether libunwind calls, from `address`. It asks the kernel
 * whether memory can be read by writing a byte of it into a pipe. Programs that close all
 * descriptors take that pipe away and get its number for themselves, and a thread that opens it
 * anew sends SIGPIPE to another that just writes: so the question is answered here, without a pipe.
 */
bool stack_is_unwinder(uintptr_t address);
/* What write() of one byte would return: 1, or -1 with errno EFAULT. */
long stack_probe(const void *address);

/* The first frames, walked slot by slot: slots[i] holds frames[i]. Ends after `wanted` frames that
 * are not an allocator's, or `most` in all, or where no slot is known (then *whole is false). For
 * the two caches; some microseconds. */
size_t stack_walk(struct caller caller, uintptr_t *frames, uintptr_t *slots, size_t most,
                  size_t wanted, bool *whole);

/* True inside the dynamic loader. */
bool stack_is_loader(uintptr_t address);
/* True inside the shim's own code. */
bool stack_is_ours(uintptr_t address);
/* Code of allocator wrappers (operator new and the like): such frames do not tell sites apart. */
void stack_add_allocator(const void *function, size_t size);
bool stack_is_allocator(uintptr_t address);

#endif
