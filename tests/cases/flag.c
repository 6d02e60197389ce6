// A thread polls a plain flag of a freed structure: no pointer is followed.
// EXPECT kind=late-touch late=poller destroyer=main touch=is_stopped end=stop_all birth=main start=main
#include "case.h"

struct state {
    long served;
    int stop;
};

NOINLINE static int is_stopped(const volatile struct state *state)
{
    return state->stop;
}

NOINLINE static void stop_all(struct state *state)
{
    free(state);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("poller");
    while (!is_stopped(argument) && !case_stopped())
        case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    struct state *state = calloc(1, sizeof *state);
    pthread_t thread;
    pthread_create(&thread, NULL, run, state);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    stop_all(state);
    if (bug)
        case_await(2);
    return 0;
}
