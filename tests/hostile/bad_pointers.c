/* Pointers that lead nowhere: the kernel answers with EFAULT, and so do the hooks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
    printf("%s: %ld %d\n", name, result, errno);
    errno = 0;
}

int main(void)
{
    int pair[2], file = open("/dev/zero", O_RDWR);
    void *volatile nowhere = (void *)8;
    struct msghdr message = {.msg_iov = nowhere, .msg_iovlen = 1};
    struct sock_fprog program = {3, nowhere};
    if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 1;
    tell("writev", writev(file, nowhere, 1));
    tell("readv", readv(file, nowhere, 1));
    tell("sendmsg", sendmsg(pair[0], nowhere, 0));
    tell("sendmsg of a bad vector", sendmsg(pair[0], &message, 0));
    tell("recvmsg", recvmsg(pair[1], nowhere, MSG_DONTWAIT));
    tell("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nowhere, 0, 0));
    tell("prctl of a bad filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
    tell("seccomp", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, nowhere));
    return 0;
}
