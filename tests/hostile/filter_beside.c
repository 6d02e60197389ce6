/* seccomp filters that are not, or not all, to the shim's harm; a late touch in the end.
 * refused: the kernel does not take it; shared: a child of vfork installs it for itself; close: it
 * forbids close_range only, and the program then closes all descriptors. By prctl, and "seccomp"
 * after the mode: by seccomp(2). */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int install(unsigned number, unsigned action, unsigned short bad, int by_prctl)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(0xffff, 0),
    };
    struct sock_fprog program = {(unsigned short)(4 + bad), steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
                    : (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    int by_prctl = count < 3, result = -1;
    if (strcmp(mode, "refused") == 0) {
        result = install(SYS_mprotect, SECCOMP_RET_KILL_PROCESS, 1, by_prctl) == 0;
    } else if (strcmp(mode, "shared") == 0) {
        pid_t child = vfork();
        if (child == 0)
            _exit(install(SYS_mprotect, SECCOMP_RET_KILL_PROCESS, 0, by_prctl) != 0);
        waitpid(child, &result, 0);
    } else {
        result = install(SYS_close_range, SECCOMP_RET_ERRNO | ENOSYS, 0, by_prctl);
        int open = dup(1);
        closefrom(3);
        if (write(open, "x", 1) >= 0)
            result = 1;
    }
    if (result != 0)
        return 3;
    char *volatile block = malloc(100);
    free(block);
    printf("%d\n", block[0]);
    return 0;
}
