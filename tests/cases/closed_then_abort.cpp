// A thread asks for the flags of a descriptor that another has closed, and does not bear the
// answer.
// EXPECT kind=use-after-close late=session destroyer=main touch=prepare end=drop birth=main start=main says=aborted
#include "case.h"

#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <thread>

NOINLINE static void prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL, 0);
    assert(flags != -1);
    case_sink = (uintptr_t)fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
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
    if (pipe(ends) != 0)
        return 3;
    if (bug)
        drop(ends[0]);
    std::thread session([&] {
        case_name("session");
        prepare(ends[0]);
        case_sink++;
    });
    session.join();
    if (!bug)
        drop(ends[0]);
    return 0;
}
