/* Side thread: a thread of the shim's own, made by a bare clone: also in a signal handler, with all
 * signals blocked but SIGSEGV and SIGBUS, and unknown to libc, which neither counts it nor waits
 * for it. It has a stack and thread-local storage of its own, in which hooks pass through; it must
 * call nothing of libc's that needs more of a thread than that, and so must not unwind. Memory is
 * never given back. */
#ifndef OUTLIVE_REGISTRY_SIDE_THREAD_H
#define OUTLIVE_REGISTRY_SIDE_THREAD_H

#include <stdbool.h>

/* name: of the thread, up to 15 bytes. False: no memory, or the kernel refused. Async-signal-safe.
 */
bool side_thread_start(void (*run)(void), const char *name);

#endif
