// In a child of fork, a thread of the child uses what the child has freed; the parent is clean.
// EXPECT kind=late-touch late=reader destroyer=main touch=use end=drop birth=main start=run_child exit=7
#include "case.h"

#include <sys/wait.h>

NOINLINE static long use(const volatile long *data)
{
    return data[1];
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    while (!case_stopped()) {
        case_sink = (uintptr_t)use(argument);
        case_round();
    }
    return NULL;
}

NOINLINE static int run_child(long *data, bool bug)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run, data);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(data);
    if (bug)
        case_await(2);
    return 0;
}

static void *idle(void *argument)
{
    pause();
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(4, sizeof *data);
    pthread_t other;
    pthread_create(&other, NULL, idle, NULL);
    pid_t child = fork();
    if (child == 0)
        return run_child(data, bug);
    int status;
    waitpid(child, &status, 0);
    drop(data); /* the parent's own copy */
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 7 : WEXITSTATUS(status);
}
