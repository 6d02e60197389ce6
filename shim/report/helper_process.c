/* Helper process: see helper_process.h. */
#include "report/helper_process.h"

#include "base/system.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LONGEST_START 2000 /* milliseconds, about */
#define STACK_SIZE ((size_t)16 * 1024)
static char stack[STACK_SIZE] __attribute__((aligned(64)));

static const char *program;
static int theirs, ours;
static long between;         /* the process between, or an error */
static _Atomic long process; /* the program's, or an error; 0: not started yet */

/* Until execve in memory that is shared, as a child of vfork: raw calls only. */
static __attribute__((noreturn)) void run_program(void)
{
    static char *arguments[] = {(char *)"outlive-resolver", NULL};
    static char *environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL};
    uint64_t none = 0;
    (void)system_call3(SYS_dup2, theirs, 0, 0);
    (void)system_call3(SYS_dup2, theirs, 1, 0);
    long null = system_open("/dev/null", O_WRONLY, 0);
    if (null >= 0)
        (void)system_call3(SYS_dup2, null, 2, 0);
    (void)system_call3(SYS_close_range, 3, -1, 0);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8);
    (void)system_call3(SYS_execve, (long)program, (long)arguments, (long)environment);
    (void)system_call3(SYS_exit_group, 127, 0, 0);
    __builtin_unreachable();
}

static __attribute__((noreturn, used)) void stand_between(void)
{
    long child = system_call6(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0, 0), result;
    if (child == 0)
        run_program();
    atomic_store(&process, child);
    /* Ours, too: the program sees the end of the connection when the watched process is gone. */
    (void)system_close(ours);
    (void)system_close(theirs);
    (void)system_call3(SYS_close_range, 0, -1, 0);
    do
        result = child < 0 ? 0 : system_call4(SYS_wait4, child, 0, (long)__WALL, 0);
    while (result == -4 /* EINTR */);
    (void)system_call3(SYS_exit_group, 0, 0, 0);
    __builtin_unreachable();
}

/* clone(2) with a stack of its own: the new process has no frame to return to. */
static long clone_between(void)
{
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "call stand_between\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(CLONE_VM), "S"(stack + sizeof stack), "d"(0)
                     : "rcx", "r8", "r10", "r11", "memory");
    return result;
}

static long start(void)
{
    /* A signal to the whole group must not run the program's handlers there. */
    uint64_t all = UINT64_MAX, mask;
    if (system_is_refused(SYS_clone) ||
        system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&mask, 8) != 0)
        return -1;
    atomic_store(&process, 0);
    between = clone_between();
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, 8);
    for (int i = 0; between > 0 && atomic_load(&process) == 0; i++) {
        system_sleep_ms(i < 100 ? 0 : 1);
        if (i == LONGEST_START)
            (void)system_call3(SYS_kill, between, SIGKILL, 0);
        if (i > LONGEST_START)
            return -1;
    }
    return between < 0 ? between : atomic_load(&process);
}

static void wait_for_both(void)
{
    long result = between < 0 ? 0 : -4;
    while (result == -4)
        result = system_call4(SYS_wait4, between, 0, (long)__WALL, 0);
}

int helper_start(const char *path)
{
    int pair[2] = {-1, -1};
    if (system_call4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, (long)pair) != 0)
        return -1;
    /* The program may have closed 0 to 2, which would be handed out here. */
    for (int i = 0; i < 2; i++) {
        long high = system_call3(SYS_fcntl, pair[i], F_DUPFD_CLOEXEC, 10);
        if (high >= 0) {
            (void)system_close(pair[i]);
            pair[i] = (int)high;
        }
    }
    program = path;
    ours = pair[0];
    theirs = pair[1];
    long child = start();
    (void)system_close(theirs);
    if (child > 0)
        return ours;
    wait_for_both();
    (void)system_close(ours);
    return -1;
}

void helper_stop(int connection)
{
    (void)system_close(connection);
    (void)system_call3(SYS_kill, atomic_load(&process), SIGKILL, 0);
    wait_for_both();
}
