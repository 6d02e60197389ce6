/* Exit hooks: the functions that register what is called at exit, and dlclose. libc gets a function
 * of ours in place of the program's, with a record in place of its argument: so the order is
 * libc's own, and __cxa_finalize calls what belongs to a library that is unloaded. Nothing is
 * allocated here and no lock taken: an allocator registers under its own lock, maybe before the
 * shim's start. Handlers for quick_exit get no argument and destroy no static object: they pass by.
 *
 * A handler may be left by an exception, longjmp, exit or pthread_exit; exceptions find their way
 * by the unwind tables, as through any function of C. */
#include "capture/exit_hooks.h"

#include "capture/process.h"
#include "capture/real.h"

#include "base/probe.h"
#include "event/event.h"
#include "registry/phase.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>

#pragma weak dladdr1 /* see start.c */

static uintptr_t finalize_start, finalize_end; /* __cxa_finalize */

void exit_hooks_start(void)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    void *function = dlsym(RTLD_NEXT, "__cxa_finalize");
    if (function == NULL || dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 ||
        symbol == NULL)
        return;
    finalize_start = (uintptr_t)function;
    finalize_end = finalize_start + symbol->st_size;
}

/* libc closes libraries of its own, too, which shows by who calls; in the shutdown phase the
 * libraries that stay are finished in the same way. */
static bool is_unloading(struct caller caller)
{
    uint64_t word;
    const struct thread_block *block = guard.block;
    if (caller.address - finalize_start >= finalize_end - finalize_start)
        return false;
    return !phase_is_shutdown() || (block != NULL && block->unloading.slot > caller.slot &&
                                    probe_word((const void *)block->unloading.slot, &word) &&
                                    word == block->unloading.address);
}

/* A child of vfork that exits runs them in its parent's memory. */
static bool is_watched(void)
{
    return guard_active && process_is_us();
}

/* libc passes the status to these as well (stdlib/exit.c and cxa_finalize.c in glibc). */
static void run_handler(void *record, int status)
{
    struct exit_handler *handler = record;
    const struct caller caller = CALLER_HERE();
    bool watched = is_watched(), unloading = watched && is_unloading(caller);
    int saved = errno;
    if (watched)
        event_exit_handler_begins(handler, unloading, caller);
    errno = saved;
    ((void (*)(uintptr_t, int))handler->function)(handler->argument, status);
    saved = errno;
    if (watched)
        event_exit_handler_ended(handler, unloading, caller);
    errno = saved;
}

static void run_with_status(int status, void *record)
{
    struct exit_handler *handler = record;
    const struct caller caller = CALLER_HERE();
    bool watched = is_watched();
    int saved = errno;
    if (watched)
        event_exit_handler_begins(handler, false, caller);
    errno = saved;
    ((void (*)(int, uintptr_t))handler->function)(status, handler->argument);
    saved = errno;
    if (watched)
        event_exit_handler_ended(handler, false, caller);
    errno = saved;
}

EXPORT int __cxa_atexit(void (*function)(void *), void *argument, void *library)
{
    int saved = errno;
    real_need();
    struct exit_handler *handler = event_exit_registered((uintptr_t)function, (uintptr_t)argument,
                                                         (uintptr_t)library, CALLER_HERE());
    errno = saved;
    if (handler == NULL)
        return real.__cxa_atexit(function, argument, library);
    int result = real.__cxa_atexit((void (*)(void *))(void *)run_handler, handler, library);
    if (result != 0)
        event_exit_dropped(handler);
    return result;
}

EXPORT int on_exit(void (*function)(int, void *), void *argument)
{
    int saved = errno;
    real_need();
    struct exit_handler *handler =
        event_exit_registered((uintptr_t)function, (uintptr_t)argument, 0, CALLER_HERE());
    errno = saved;
    if (handler == NULL)
        return real.on_exit(function, argument);
    int result = real.on_exit(run_with_status, handler);
    if (result != 0)
        event_exit_dropped(handler);
    return result;
}

EXPORT int dlclose(void *library)
{
    real_need();
    if (!is_watched())
        return real.dlclose(library);
    const struct thread_unloading outer = event_unloading(CALLER_HERE());
    int result = real.dlclose(library);
    int saved = errno;
    event_unloaded(outer);
    errno = saved;
    return result;
}
