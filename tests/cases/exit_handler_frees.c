// A library's exit handler frees its state while a thread still serves a client with it.
// EXPECT kind=late-touch stripped=late-touch late=client destroyer=main touch=serve end=library_cleanup birth=library_start start=main says=in.the.exit.handler.library_cleanup
#include "case.h"

static bool is_bug;
static struct session {
    volatile int sent;
} * session;

NOINLINE static void library_cleanup(void)
{
    free(session);
    case_sink++;
}

NOINLINE static void library_start(void)
{
    session = calloc(1, sizeof *session);
    atexit(library_cleanup);
}

static void last(void)
{
    if (is_bug)
        case_await(2);
}

NOINLINE static void serve(struct session *served)
{
    served->sent++;
}

static void *run(void *argument)
{
    case_name("client");
    while (!case_stopped()) {
        serve(argument);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    atexit(last);
    library_start();
    pthread_t thread;
    pthread_create(&thread, NULL, run, session);
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
