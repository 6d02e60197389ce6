/* Fault injection: runs a program and makes one system call of the shim fail, or one and all later
 * ones but writes, by which the loss is told.
 * usage: fail_calls one|on NUMBER RECORD PROGRAM ARGS...
 *
 * A call counts when it is one of those below and its instruction lies inside liboutlive.so, or in
 * libc for libunwind, which the shim uses: a return address tells, near the top of the stack. Of
 * one call path (three frames) the first SAME count, so that the numbers stay few. RECORD gets a
 * line "NAME at OFFSET" for the first call that failed and stays empty when the program made fewer.
 * The exit status is the program's, 128 + signal, or 99 for a hang. A seccomp filter stops the
 * program at these calls only (SECCOMP_RET_TRACE, seccomp(2)); the tracer then skips the call
 * (ptrace(2): orig_rax -1) and puts the error in its place. */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST_RUN 60 /* seconds */

static const struct failing_call {
    const char *name;
    int number, error;
} calls[] = {
    {"mmap", SYS_mmap, ENOMEM},
    {"munmap", SYS_munmap, ENOMEM},
    {"mprotect", SYS_mprotect, ENOMEM},
    {"madvise", SYS_madvise, EAGAIN},
    {"userfaultfd", SYS_userfaultfd, EPERM},
    {"ioctl", SYS_ioctl, ENOMEM},
    {"openat", SYS_openat, EMFILE},
    {"read", SYS_read, EIO},
    {"write", SYS_write, ENOSPC},
    {"clone", SYS_clone, EAGAIN},
    {"socketpair", SYS_socketpair, EMFILE},
    {"sendto", SYS_sendto, EPIPE},
    {"fcntl", SYS_fcntl, EMFILE},
    {"prlimit", SYS_prlimit64, EPERM},
    {"getcwd", SYS_getcwd, ENOENT},
    {"mincore", SYS_mincore, ENOMEM},
    {"pipe2", SYS_pipe2, EMFILE},
    {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, EAGAIN},
};
#define CALLS (sizeof calls / sizeof *calls)

#define SAME 2
#define PATHS 1024

static struct range {
    unsigned long first, last;
} shim, unwinder;

static struct {
    unsigned long long path;
    unsigned times;
} seen_paths[PATHS];

/* The shim keeps frame pointers: the call's address and two return addresses, mixed. */
static bool is_frequent(pid_t thread, const struct user_regs_struct *registers)
{
    unsigned long long path = registers->rip - shim.first, frame = registers->rbp;
    for (int i = 0; i < 2; i++) {
        errno = 0;
        long caller = ptrace(PTRACE_PEEKDATA, thread, (void *)(frame + 8), 0);
        if (errno != 0)
            break;
        path = path * 1000003 + ((unsigned long long)caller - shim.first);
        frame = (unsigned long long)ptrace(PTRACE_PEEKDATA, thread, (void *)frame, 0);
    }
    size_t i = 0;
    while (i < PATHS - 1 && seen_paths[i].times != 0 && seen_paths[i].path != path)
        i++;
    seen_paths[i].path = path;
    return ++seen_paths[i].times > SAME;
}

static void trace_me(void)
{
    struct sock_filter filter[CALLS + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    for (size_t i = 0; i < CALLS; i++)
        filter[i + 1] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, (unsigned char)(CALLS - i), 0);
    filter[CALLS + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[CALLS + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog program = {CALLS + 3, filter};
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0 || raise(SIGSTOP) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("fail_calls");
        _exit(98);
    }
}

static bool within(const struct range *range, unsigned long long address)
{
    return address >= range->first && address < range->last;
}

static void widen(struct range *range, unsigned long first, unsigned long last)
{
    if (range->first == 0)
        range->first = first;
    range->last = last;
}

static void find_libraries(pid_t process)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/maps", process);
    FILE *maps = fopen(path, "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx", &first, &last) != 2)
            continue;
        if (strstr(line, "/liboutlive.so") != NULL)
            widen(&shim, first, last);
        else if (strstr(line, "/libunwind.so") != NULL)
            widen(&unwinder, first, last);
    }
    if (maps != NULL)
        fclose(maps);
}

#define STACK_WORDS 12

static bool is_for_unwinder(pid_t thread, unsigned long long stack)
{
    for (int i = 0; i < STACK_WORDS; i++) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, thread, (void *)(stack + 8 * (unsigned)i), 0);
        if (errno == 0 && within(&unwinder, (unsigned long long)word))
            return true;
    }
    return false;
}

static const struct failing_call *call_at(pid_t thread, struct user_regs_struct *registers)
{
    if (ptrace(PTRACE_GETREGS, thread, 0, registers) != 0)
        return NULL;
    if (unwinder.first == 0)
        find_libraries(thread);
    if (!within(&shim, registers->rip) && !is_for_unwinder(thread, registers->rsp))
        return NULL;
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == (int)registers->orig_rax)
            return &calls[i];
    return NULL;
}

static void fail(pid_t thread, struct user_regs_struct *registers, int error)
{
    registers->orig_rax = (unsigned long)-1;
    registers->rax = (unsigned long long)-(long long)error;
    (void)ptrace(PTRACE_SETREGS, thread, 0, registers);
}

int main(int count, char **arguments)
{
    if (count < 5)
        return 98;
    bool all_later = strcmp(arguments[1], "on") == 0;
    long wanted = atol(arguments[2]), seen = 0;
    FILE *record = fopen(arguments[3], "w");
    if (record == NULL)
        return 98;
    pid_t program = fork();
    if (program == 0) {
        trace_me();
        (void)execv(arguments[4], arguments + 4);
        _exit(127);
    }
    int status = 0, result = 99;
    (void)waitpid(program, &status, 0);
    (void)ptrace(PTRACE_SETOPTIONS, program, 0,
                 PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                     PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    (void)ptrace(PTRACE_CONT, program, 0, 0);
    alarm(LONGEST_RUN); /* ends the tracer, and with it the traced */
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == program)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP) {
            struct user_regs_struct registers;
            const struct failing_call *call = call_at(thread, &registers);
            bool counts = call != NULL && !is_frequent(thread, &registers);
            seen += counts;
            if (counts && seen == wanted) {
                fprintf(record, "%s at %llx\n", call->name, registers.rip - shim.first);
                fflush(record);
            }
            bool later = seen >= wanted && call != NULL && call->number != SYS_write;
            if ((counts && seen == wanted) || (all_later && later))
                fail(thread, &registers, call->error);
        }
        /* Stops of the tracing itself are not handed on: new threads begin with a SIGSTOP. */
        bool own = event != 0 || signal == SIGSTOP || signal == SIGTRAP;
        (void)ptrace(PTRACE_CONT, thread, 0, own ? 0 : (long)signal);
    }
    return result;
}
