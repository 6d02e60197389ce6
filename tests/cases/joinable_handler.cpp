// An exception leaves a function past a std::thread that was not joined; the program's own handler
// of std::terminate ends it.
// EXPECT kind=joinable-thread-destroyed late=main destroyer= touch=serve birth=serve start=- exit=5 says=still.runs stripped=joinable-thread-destroyed stripped_grade=possible stripped_exit=5
#include "case.h"

#include <exception>
#include <stdexcept>
#include <thread>

NOINLINE static void check(bool bad)
{
    if (bad)
        throw std::runtime_error("bad");
    case_sink++;
}

NOINLINE static void serve(bool bug)
{
    std::thread worker([] {
        case_name("worker");
        while (!case_stopped())
            case_round();
    });
    case_await(2);
    check(bug);
    case_tell_stop();
    worker.join();
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    std::set_terminate([] { exit(5); });
    try {
        serve(bug);
    } catch (const std::exception &) {
        return 6;
    }
    return 0;
}
