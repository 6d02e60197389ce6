/* Patch: makes calls of a function in this process go to a hook, by a jump at the function's entry.
 * Prepare, then install. The displaced instructions live on in a trampoline near by, which the hook
 * calls to run the original. No page is ever writable and executable at once: a page of code is
 * replaced, in one step, by a prepared copy. Return addresses are never replaced.
 *
 * Registers: gcc -O2 compiles calls within a file by what the callee really changes (-fipa-ra), so
 * a caller may keep values in any register that the function leaves alone, %r11 and vectors too. A
 * hook of any function of a program must therefore change no register that the function would not.
 * %r11, which carries `number` to the hook, is kept in -16(%rsp) meanwhile, below the stack, where
 * signals leave 128 bytes alone. The original starts by loading it from there: a hook that pushes
 * more than one word steps over it (push, lea -8(%rsp), %rsp, ... and back) and goes on with, say,
 * jmp *original(%r11).
 * Hooks in C are for functions that other files call, such as allocators.
 *
 * Functions must be entered by calls or tail calls: no `.cold` parts, no resolvers, no pieces of
 * assembler that share a frame. Branches from functions that are not in the same batch into a
 * function's first bytes are not seen; compilers make none, glibc's memmove has some.
 *
 * patch_prepare() and patch_install() take a lock and make system calls (between guard_enter() and
 * guard_leave(), or at start); patch_source() is async-signal-safe. */
#ifndef OUTLIVE_PATCH_PATCH_H
#define OUTLIVE_PATCH_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum patch_refusal {
    PATCH_FINE,
    PATCH_TOO_SHORT,       /* the function is shorter than the jump */
    PATCH_NOT_DECODED,     /* bytes that are no instruction, or none that is known */
    PATCH_BRANCH_INSIDE,   /* a branch or jump table leads into the displaced bytes */
    PATCH_BRANCH_TO_ENTRY, /* a loop leads back to the entry: it would count as calls */
    PATCH_CALL_INSIDE,     /* a displaced call would return into the jump */
    PATCH_NOT_RELOCATED,   /* an instruction that works nowhere else */
    PATCH_TAKEN,           /* another tool's jump is there already */
    PATCH_NO_ROOM,         /* no free addresses within 2 GiB */
    PATCH_FORBIDDEN,       /* the kernel or a security module does not let code be replaced */
    PATCH_NO_DECODER,      /* libZydis is not there */
    PATCH_THREADS,         /* install: another thread may be between its first instructions */
    PATCH_REFUSALS
};

/* A few words, for `outlive scan` and losses: "shorter than the jump". */
const char *patch_refusal_text(enum patch_refusal refusal);

struct patch {
    /* In. */
    uintptr_t function; /* entry, in this process */
    size_t size;        /* bytes of its body; must not be 0 */
    uintptr_t hook;     /* where calls go. The stack is as at the function's entry. */
    uint32_t number; /* handed to the hook in %r11d, %r11 in -16(%rsp); others are the caller's */
    bool unused;     /* no other thread can be running it: its library is just being loaded */
    /* Out. */
    enum patch_refusal refusal;
    uintptr_t original; /* call this to run the original; valid before the install too */
};

/* Decodes the functions and writes their trampolines; changes no code. Sets refusal and original of
 * each. Functions that start at the same address must be given once only. They must be code of a
 * loaded module that is not writable (else PATCH_FORBIDDEN). */
void patch_prepare(struct patch *patches, size_t count);

/* Installs all that were not refused, if need be on top of what other threads run: each of their
 * calls goes wholly the old way or wholly through the hook. For that, while there are other threads
 * (Linux tasks of the process; unknown without /proc), only functions are installed whose jump
 * replaces a single instruction, or that are `unused`; the others become PATCH_THREADS: a thread
 * could stand between two instructions that the jump replaces. Not for signal handlers: the
 * interrupted code could stand there, too. False: the system refused, all are as they were, and
 * those not refused before are PATCH_FORBIDDEN. */
bool patch_install(struct patch *patches, size_t count);
/* The same, but all of them or none: false, and nothing changed, also where one is refused. */
bool patch_install_whole(struct patch *patches, size_t count);

/* Whether the jump is in the function, whose code must be mapped. Not thread-safe. */
bool patch_is_installed(const struct patch *patch);

/* For an address inside a trampoline, that of the displaced instruction in the function; any other
 * address is returned as it is. For stacks: there is no unwind information for trampolines. */
uintptr_t patch_source(uintptr_t address);

/* What patch_prepare() would say of a function whose bytes are at `code`, followed by others of its
 * segment up to `room`, and run at `address`; but for where jump tables and other functions lead.
 * Pure, for `outlive scan`; needs patch_start(). */
enum patch_refusal patch_judge(const unsigned char *code, size_t size, size_t room,
                               uint64_t address);

/* Around fork: the child must not find a batch half done. The patches themselves stay. */
void patch_prepare_fork(void);
void patch_forked(bool child);

/* Loads libZydis privately (dlopen, RTLD_LOCAL); idempotent. False: nothing can be patched. */
bool patch_start(void);

#endif
