/* Entry: where patched destructors and member functions come when they are entered, in place of
 * their first instructions; they go on there at once. Their callers may keep values in any register
 * that the function itself leaves alone (GCC's -fipa-ra), so all are saved, but for %r11. Nothing
 * of ours stays on the stack. */
#ifndef OUTLIVE_CAPTURE_ENTRY_H
#define OUTLIVE_CAPTURE_ENTRY_H

#include "patch/patch.h"

/* For the `hook` of patches whose numbers are their places in the table. */
void entry_destructor(void) __attribute__((visibility("hidden")));
void entry_member(void) __attribute__((visibility("hidden")));

#define ENTRIES_MOST 65536
#define ENTRY_HAS_THIS 1 /* known to be no static member function */

extern struct patch *entry_table __attribute__((visibility("hidden")));
extern uint8_t *entry_flags __attribute__((visibility("hidden")));

/* Makes the table. Once, before anything is patched. False: no memory. */
bool entry_start(void);

/* As probe_fault(), for the one read of entry_destructor. */
uintptr_t entry_fault(uintptr_t instruction);

#endif
