// What threads may do: handles that are used, joined and detached once, in all orders, and come
// back as other threads' handles; threads that are left to the exit.
// EXPECT silent options=threads_at_exit=0,shutdown_timeout=20
#include "case.h"

#include <errno.h>
#include <sys/wait.h>
#include <threads.h>

static void *work(void *argument)
{
    case_round();
    return argument;
}

static void *work_until_told(void *argument)
{
    while (!case_stopped())
        case_round();
    return argument;
}

static void *detach_itself(void *argument)
{
    pthread_detach(pthread_self());
    pthread_setname_np(pthread_self(), "alone");
    case_round();
    return argument;
}

static bool ask_finished(void)
{
    pthread_t thread;
    clockid_t clock;
    char name[16];
    unsigned before = case_rounds_now();
    pthread_create(&thread, NULL, work, NULL);
    case_await_from(before, 1);
    for (int i = 0; i < 200; i++) { /* it ends meanwhile, unjoined */
        pthread_kill(thread, 0);
        pthread_getcpuclockid(thread, &clock);
        pthread_getname_np(thread, name, sizeof name);
        sched_yield();
    }
    return pthread_join(thread, NULL) == 0;
}

/* The handle of a joined thread comes back as that of the next. */
static bool reuse(void)
{
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
        pthread_kill(thread, 0);
        if (i % 2 == 0 ? pthread_join(thread, NULL) != 0 : pthread_detach(thread) != 0)
            return false;
    }
    return true;
}

static bool poll_for_end(void)
{
    pthread_t thread;
    struct timespec end;
    pthread_create(&thread, NULL, work_until_told, NULL);
    case_await(1);
    if (pthread_tryjoin_np(thread, NULL) != EBUSY)
        return false;
    clock_gettime(CLOCK_REALTIME, &end);
    if (pthread_timedjoin_np(thread, NULL, &end) != ETIMEDOUT)
        return false;
    case_tell_stop();
    int failure;
    while ((failure = pthread_tryjoin_np(thread, NULL)) == EBUSY)
        sched_yield();
    case_stop = false;
    return failure == 0;
}

/* A join that was cancelled is begun anew by another. */
static void *join_it(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static bool join_after_cancelled_join(void)
{
    pthread_t thread, joiner;
    pthread_create(&thread, NULL, work_until_told, NULL);
    pthread_create(&joiner, NULL, join_it, &thread);
    case_await(50);
    pthread_cancel(joiner);
    pthread_join(joiner, NULL);
    case_tell_stop();
    bool ok = pthread_join(thread, NULL) == 0;
    case_stop = false;
    return ok;
}

/* The child's copies of its parent's objects are dropped in any way. */
static bool fork_with_threads(void)
{
    pthread_t running, other;
    pthread_create(&running, NULL, work_until_told, NULL);
    pthread_create(&other, NULL, work_until_told, NULL);
    case_await(1);
    pid_t child = fork();
    if (child == 0) {
        pthread_detach(running);
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    case_tell_stop();
    pthread_join(running, NULL);
    pthread_detach(other);
    case_stop = false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    if (!ask_finished() || !reuse() || !poll_for_end() || !join_after_cancelled_join() ||
        !fork_with_threads())
        return 3;
    for (int i = 0; i < 20; i++) { /* few that nobody joins */
        pthread_t thread;
        pthread_create(&thread, NULL, i % 2 == 0 ? work : detach_itself, NULL);
    }
    case_await(1);
    return 0;
}
