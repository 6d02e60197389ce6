/* Injector: makes a lifetime mistake in a program that is not ours. Preloaded before the shim
 * (LD_PRELOAD="libinjector_blocks.so liboutlive.so"), it keeps its own table of the program's live
 * objects; when the file go.PID appears in INJECT_DIRECTORY ("SEED SIGNAL"), its thread `injector`
 * sends the signal that ends the program, chooses one of them, ends it through the shim, and
 * swallows the program's own end of it.
 *
 * It also is the oracle that says whether the object was touched again, and by which thread, in the
 * same run: two runs of a server never do alike, so one without the shim would tell of other
 * objects. It does not believe the shim. What it saw goes to result.PID, a line each.
 *
 * injector.c waits for the order and binds the program's calls; one library has with it
 * injector_blocks.c, the other injector_descriptors.c, which define what is declared last here. */
#ifndef OUTLIVE_TESTS_INJECTOR_H
#define OUTLIVE_TESTS_INJECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE ((uintptr_t)4096)
#define HIDDEN __attribute__((visibility("hidden")))

/* All arguments of the calls are integers or pointers: one prototype does for all. */
typedef long (*any_call)(long, long, long, long, long, long);

/* Whether the calling process is one that the injector is in: children have one of their own. */
HIDDEN bool injector_is_here(void);
HIDDEN void *injector_map(size_t size); /* NULL: no memory */

/* To result.PID, with system calls only: any thread may be anywhere. */
HIDDEN void write_line(const char *line, int length);
/* WHAT TID WHERE PLACE NAME: the calling thread. */
HIDDEN void write_touch(const char *what, const char *where, const char *place);
/* A frame line for each, without the first ones. */
HIDDEN void write_frames(void *const *frames, int first, int count);
/* The one that the order's seed stands for. */
HIDDEN size_t choose_index(unsigned long seed, size_t candidates);

/* ---- what the kind of object defines ---- */

struct call {
    const char *name;
    uintptr_t function; /* that the program is to call instead */
};
extern HIDDEN const struct call calls[]; /* the first is one that the shim hooks */
extern HIDDEN const size_t call_count;
extern HIDDEN any_call next[]; /* what the program would have called, NULL: there is none */

/* At start; false: it cannot be. */
HIDDEN bool object_start(void);
/* The order has come; send_sign() first, as soon as all is ready. */
HIDDEN void object_inject(unsigned long seed);
HIDDEN void send_sign(void);
/* Whether an object of this process, or of the one that it was forked from, has been ended. */
HIDDEN bool object_is_injected(void);
/* In a child of fork. */
HIDDEN void object_forked(void);

#endif
