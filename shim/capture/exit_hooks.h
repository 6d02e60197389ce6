/* Exit hooks: how handlers that run because a library is unloaded are told from those of exit. */
#ifndef OUTLIVE_CAPTURE_EXIT_HOOKS_H
#define OUTLIVE_CAPTURE_EXIT_HOOKS_H

/* Once, at the shim's start. */
void exit_hooks_start(void);

#endif
