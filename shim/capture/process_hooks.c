/* Process hooks: the signs of shutdown, and the end of the process. */
#include "capture/process.h"

#include "base/system.h"
#include "capture/real.h"
#include "event/event.h"

static pid_t process; /* a child of vfork shares our memory, but is not us */

void process_hooks_start(void)
{
    process = system_process();
}

bool process_is_us(void)
{
    return system_process() == process;
}

static bool is_us(void)
{
    return guard_active && process_is_us();
}

static void shutdown_by(const char *sign)
{
    if (is_us())
        event_shutdown(sign);
}

void process_ending(void)
{
    static _Atomic bool done;
    if (!is_us())
        return;
    event_shutdown("exit");
    event_waited();
    uintptr_t before = guard_hold(GUARD_FRAME);
    event_exit(!atomic_exchange(&done, true));
    guard_let_go(before);
}

/* The end by a call, maybe from a signal handler that interrupted a hook. */
static void exit_by(const char *sign)
{
    if (!is_us())
        return;
    guard_abandon();
    event_shutdown(sign);
}

static int (*program_main)(int, char **, char **);

static int main_of_program(int count, char **arguments, char **environment)
{
    int status = program_main(count, arguments, environment);
    shutdown_by("main returned");
    return status;
}

EXPORT int __libc_start_main(int (*main)(int, char **, char **), int count, char **arguments,
                             void (*initialise)(void), void (*finish)(void),
                             void (*loader_finish)(void), void *stack_end)
{
    real_need();
    program_main = main;
    return real.__libc_start_main(main_of_program, count, arguments, initialise, finish,
                                  loader_finish, stack_end);
}

EXPORT void exit(int status)
{
    real_need();
    exit_by("exit()");
    real.exit(status);
    __builtin_unreachable();
}

/* The end comes at once: no destructor of ours runs. */
EXPORT void _exit(int status)
{
    real_need();
    exit_by("_exit()");
    process_ending();
    real._exit(status);
    __builtin_unreachable();
}

EXPORT void _Exit(int status)
{
    real_need();
    exit_by("_Exit()");
    process_ending();
    real._Exit(status);
    __builtin_unreachable();
}

EXPORT void quick_exit(int status)
{
    real_need();
    exit_by("quick_exit()");
    real.quick_exit(status);
    __builtin_unreachable();
}
