// A std::thread is a local variable, and an early return destroys it while the thread runs.
// EXPECT kind=joinable-thread-destroyed late=main destroyer= touch=serve birth=serve start=- says=still.runs stripped=joinable-thread-destroyed stripped_grade=possible stripped_exit=134
#include "case.h"

#include <thread>

NOINLINE static bool serve(bool bug)
{
    std::thread worker([] {
        case_name("worker");
        while (!case_stopped())
            case_round();
    });
    case_await(2);
    if (bug)
        return false;
    case_tell_stop();
    worker.join();
    return true;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    return serve(bug) ? 0 : 1;
}
