// A lambda given to std::async refers to an object that is deleted before its end.
// EXPECT kind=late-touch late=* destroyer=main touch=serve end=main birth=main start=*
#include "case.h"

#include <future>
#include <memory>

struct Session {
    volatile long requests = 0;
};

NOINLINE static void serve(Session &session)
{
    session.requests = session.requests + 1;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto session = std::make_unique<Session>();
    Session &reference = *session;
    auto done = std::async(std::launch::async, [&reference] {
        while (!case_stopped()) {
            serve(reference);
            case_round();
        }
    });
    case_await(2);
    if (!bug) {
        case_tell_stop();
        done.wait();
    }
    session.reset();
    if (bug)
        case_await(2);
    case_tell_stop();
    return 0;
}
