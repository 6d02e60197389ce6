// An exit handler fails its assertion while a thread still runs: no lifetime is proven, the crash
// is told with the life-cycle picture.
// EXPECT kind=shutdown-crash grade=possible late=main destroyer=- touch=clean_up end=- birth=- start=- says=Life-cycle
#include "case.h"

#undef NDEBUG
#include <assert.h>

static volatile int clients;

static void clean_up(void)
{
    assert(clients == 0);
}

static void *run(void *argument)
{
    case_name("worker");
    (void)argument;
    while (!case_stopped())
        case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    clients = case_is_bug(count, arguments) ? 1 : 0;
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    case_await(2);
    atexit(clean_up);
    return 0;
}
