// A worker still uses a session of a pool that main has given back, and told so; the pool's memory
// lives on. The program has told the begin of its shutdown.
// EXPECT kind=use-after-death late=worker destroyer=main touch=serve end=give birth=take start=main says=begun.by.annotation.'draining'
#include "case.h"

#include <outlive.h>

#include <thread>

struct Session {
    int number;
    char buffer[60];
};

static Session pool[8];

NOINLINE static Session *take()
{
    outlive_born(&pool[3], sizeof pool[3], "session");
    return &pool[3];
}

NOINLINE static void give(Session *session)
{
    outlive_died(session);
    case_sink = case_sink + 1;
}

NOINLINE static void serve(Session *session)
{
    outlive_touched(session);
    session->number++;
    case_round();
}

static void run(Session *session)
{
    case_name("worker");
    while (!case_stopped())
        serve(session);
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    Session *session = take();
    std::thread worker(run, session);
    case_await_from(0, 1);
    outlive_shutdown_begins("draining");
    if (!bug) {
        case_tell_stop();
        worker.join();
    }
    give(session);
    if (bug) {
        case_await(2);
        case_tell_stop();
        worker.join();
    }
    return 0;
}
