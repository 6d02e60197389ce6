/* vfork, posix_spawn, system and exec from a thread that is not the first. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int wait_for(pid_t child)
{
    int status = 0;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void *execute(void *argument)
{
    execl("/bin/sh", "sh", "-c", "exit 6", (char *)NULL);
    return argument;
}

static void *work(void *argument)
{
    volatile int *stop = argument;
    while (!*stop)
        free(malloc(100));
    return NULL;
}

int main(void)
{
    volatile int stop = 0;
    pthread_t thread;
    (void)pthread_create(&thread, NULL, work, (void *)&stop);
    for (int i = 0; i < 5; i++) {
        char *volatile block = malloc(300);
        pid_t child = vfork();
        if (child == 0) {
            (void)signal(SIGUSR1, SIG_IGN);
            (void)close(0);
            execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
            _exit(99);
        }
        printf("vfork %d\n", wait_for(child));
        child = vfork();
        if (child == 0)
            _exit(8);
        printf("vfork and _exit %d\n", wait_for(child));
        char *words[] = {(char *)"sh", (char *)"-c", (char *)"exit 4", NULL};
        printf("spawn %d", posix_spawn(&child, "/bin/sh", NULL, NULL, words, environ));
        printf(" %d\n", wait_for(child));
        printf("system %d\n", WEXITSTATUS(system("exit 5")));
        (void)fflush(stdout);
        child = fork();
        if (child == 0) {
            pthread_t other;
            (void)pthread_create(&other, NULL, execute, NULL);
            (void)pthread_join(other, NULL);
            _exit(99);
        }
        printf("exec from a thread %d\n", wait_for(child));
        free(block);
    }
    stop = 1;
    (void)pthread_join(thread, NULL);
    return 0;
}
