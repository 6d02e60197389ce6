/* Signals: the shim's own handlers, and the program's view of signals beside them. The program
 * reads back what it set, and its handlers get the faults that are not ours exactly as from the
 * kernel. SIGSEGV and SIGBUS are never really blocked. */
#ifndef OUTLIVE_CAPTURE_SIGNALS_H
#define OUTLIVE_CAPTURE_SIGNALS_H

#include "base/options.h"
#include "registry/stack.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Takes over the fault signals; once, at start. */
void signals_start(const struct options *options);

/* The calling thread gets its signal stack and can fault; it gives the stack back at its end. */
void signals_enter_thread(void);
void signals_leave_thread(void);
/* Unblocks SIGSEGV and SIGBUS in the calling thread. */
void signals_open_faults(void);

/* The action as the program sees it (signal_actions.c), or false: not a signal we manage. */
bool signals_manage(int number);
bool signals_is_shutdown(int number);
struct sigaction *signals_program_action(int number);
/* What is begun by that signal: a static text. */
const char *signals_sign(int number, const char *how);

/* fault.c */
void signals_note_restorer(void); /* after the handlers are set */
void signals_handle_fault(int number, siginfo_t *info, void *context);
bool signals_sample(pid_t tid, struct stack *stack);

/* Descriptors made by signalfd: a termination signal may be read from them. */
bool signals_descriptor(int descriptor);
void signals_note_descriptor(int descriptor);
void signals_forget_descriptor(int descriptor);
void signals_read(const void *buffer, size_t size);

/* The shim's stack of this thread holds that address. */
bool signals_on_own_stack(const void *address);

#endif
