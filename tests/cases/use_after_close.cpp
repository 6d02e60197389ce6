// A thread still reads from a pipe that the main thread has closed.
// EXPECT kind=use-after-close late=reader destroyer=main touch=fetch end=drop birth=main start=main says=EBADF
#include "case.h"

#include <fcntl.h>
#include <thread>

NOINLINE static long fetch(int descriptor)
{
    char byte;
    long got = read(descriptor, &byte, 1);
    case_sink = (uintptr_t)got;
    return got;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0)
        return 3;
    std::thread reader([&] {
        case_name("reader");
        while (!case_stopped()) {
            fetch(ends[0]);
            case_round();
        }
    });
    case_await(2);
    if (!bug) {
        case_tell_stop();
        reader.join();
    }
    drop(ends[0]);
    if (bug) {
        case_await(3);
        case_tell_stop();
        reader.join();
    }
    return 0;
}
