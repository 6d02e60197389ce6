// A library's exit handler sets its pointer to null while a thread still works with it.
// EXPECT kind=shutdown-crash grade=possible exit=139 late=client touch=serve start=main says=became.null.in.the.exit.handler
#include "case.h"

static bool is_bug;
struct method {
    volatile int uses;
};
static struct method *volatile method;

NOINLINE static void library_cleanup(void)
{
    method = NULL;
    if (is_bug)
        case_await(2);
}

NOINLINE static int serve(struct method *used)
{
    return ++used->uses;
}

static void *run(void *argument)
{
    (void)argument;
    case_name("client");
    while (!case_stopped()) {
        case_sink += (uintptr_t)serve(method);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    static struct method only;
    is_bug = case_is_bug(count, arguments);
    method = &only;
    atexit(library_cleanup);
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    return 0;
}
