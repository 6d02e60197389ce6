// The object's memory is from malloc and has no table of virtual functions: only its destructor
// tells what it was.
// EXPECT kind=late-touch late=worker destroyer=main touch=bump end=finish birth=main start=main stripped=late-touch says=type.monitor::Session
#include "case.h"

#include <new>

namespace monitor
{
struct Session {
    volatile long number = 5;
    NOINLINE ~Session()
    {
        number = 0;
    }
};
} // namespace monitor

NOINLINE static void bump(monitor::Session *session)
{
    session->number = session->number + 1;
}

NOINLINE static void finish(monitor::Session *session)
{
    session->~Session();
    free(session);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        bump(static_cast<monitor::Session *>(argument));
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *session = new (malloc(sizeof(monitor::Session))) monitor::Session;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, session);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    finish(session);
    if (bug)
        case_await(2);
    return 0;
}
