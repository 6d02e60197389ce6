/* A child by _Fork(), which runs no handlers of fork, allocates what its parent then allocates
 * anew: each has its own memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) static char *allocate(const char *words)
{
    char *block = malloc(112);
    strcpy(block, words);
    return block;
}

int main(void)
{
    char *volatile first = malloc(111);
    strcpy(first, "before");
    pid_t child = (pid_t)syscall(SYS_fork);
    const char *own = child == 0 ? "child" : "parent";
    int status = 0, wrong = 0;
    if (child > 0)
        waitpid(child, &status, 0);
    for (int i = 0; i < 3; i++) {
        char *volatile block = allocate(own);
        wrong += strcmp(block, own) != 0;
        free(block);
    }
    if (child == 0)
        _exit(wrong);
    printf("child: %d, wrong: %d\n", status, wrong);
    return wrong != 0 || status != 0;
}
