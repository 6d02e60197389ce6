/* Nulled: pointers in static storage that an exit handler set to null while threads still ran. Each
 * plain handler (atexit) has its own library's data looked at before and after it, so that a null
 * pointer that a thread meets later can be told to be that handler's work: the cleanups of
 * libraries do not leave dead memory behind, but nulls. Data of more than NULLED_MOST bytes is not
 * looked at. Begin and end: by the thread that runs the handler, between guard_enter() and
 * guard_leave(); nulled_by() is async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_NULLED_H
#define OUTLIVE_REGISTRY_NULLED_H

#include "registry/exit_handler.h"

#define NULLED_MOST ((size_t)16 << 20)

/* [start, end): the data of the handler's library. */
void nulled_begin(const struct exit_handler *handler, uintptr_t start, uintptr_t end);
void nulled_end(const struct exit_handler *handler);

/* The handler in whose run the pointer at that address became null, or which runs now and had one
 * there when it began; NULL: none, or it is no null. */
const struct exit_handler *nulled_by(uintptr_t address);

#endif
