/* The program installs a seccomp filter that kills at every call which it does not itself need.
 * server: what libc uses for threads and memory; tiny: memory, descriptors and the end; strict:
 * the kernel's own strict mode; late: server, then a late touch. Each in a child, by prctl and by
 * seccomp(2). */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int tiny[] = {SYS_read, SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_exit_group, 0};
static const int server[] = {SYS_read,
                             SYS_write,
                             SYS_brk,
                             SYS_mmap,
                             SYS_munmap,
                             SYS_exit_group,
                             SYS_mprotect,
                             SYS_madvise,
                             SYS_futex,
                             SYS_clone,
                             SYS_clone3,
                             SYS_exit,
                             SYS_rt_sigreturn,
                             SYS_rt_sigprocmask,
                             SYS_set_robust_list,
                             SYS_rseq,
                             SYS_clock_nanosleep,
                             SYS_getpid,
                             SYS_gettid,
                             SYS_tgkill,
                             SYS_openat,
                             SYS_close,
                             SYS_rt_sigaction,
                             SYS_prlimit64,
                             SYS_sched_getaffinity,
                             0};

static int install(const int *allowed, int by_prctl)
{
    struct sock_filter filter[64] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short length = 1;
    for (int i = 0; i == 0 || allowed[i] != 0; i++) { /* read is number 0 */
        filter[length++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
                    : (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void *allocate(void *argument)
{
    char *volatile blocks[200];
    for (int i = 0; i < 200; i++) {
        blocks[i] = malloc(20 + 10 * (size_t)i);
        blocks[i][0] = 'x';
    }
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    return argument;
}

static void tell(const char *words)
{
    (void)write(1, words, strlen(words));
}

static void live(const char *mode, int by_prctl)
{
    char *volatile from_before = malloc(70);
    if (strcmp(mode, "strict") == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(1);
        tell("strict\n");
        free(from_before);
        tell("freed\n");
        (void)syscall(SYS_exit, 4);
    }
    int threads = strcmp(mode, "tiny") != 0;
    if (install(threads ? server : tiny, by_prctl) != 0)
        _exit(1);
    free(from_before);
    (void)allocate(NULL);
    for (int i = 0; threads && i < 3; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate, NULL) != 0)
            _exit(2);
        (void)pthread_join(thread, NULL);
    }
    tell("at work\n");
    if (strcmp(mode, "late") == 0) {
        char *volatile block = malloc(41);
        block[0] = 'y';
        free(block);
        tell(block[0] == 'z' ? "seen\n" : "");
    }
    exit(4);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "server";
    for (int by_prctl = 0; by_prctl < 2; by_prctl++) {
        pid_t child = fork();
        if (child == 0)
            live(mode, by_prctl);
        int status = 0;
        (void)waitpid(child, &status, 0);
        printf("exit %d signal %d\n", WEXITSTATUS(status), WTERMSIG(status));
        (void)fflush(stdout);
    }
    return 0;
}
