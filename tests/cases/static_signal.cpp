// A signal handler follows a pointer in a global object that exit has destroyed.
// EXPECT kind=use-after-destruction stripped=nothing late=main destroyer=main touch=on_timer end=~Status says=global.Status.status
#include "case.h"

static bool is_bug;

/* Called last. */
static struct Gate {
    ~Gate()
    {
        if (is_bug)
            raise(SIGUSR1);
    }
} gate;

static volatile int shown;

struct Status {
    volatile int *place = &shown;
    NOINLINE ~Status()
    {
        case_sink = (uintptr_t)place;
    }
};

static Status status;

NOINLINE static void on_timer(int)
{
    *status.place = 1;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    signal(SIGUSR1, on_timer);
    raise(SIGUSR1);
    return 0;
}
