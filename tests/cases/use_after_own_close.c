// A thread writes to a descriptor that it has closed itself.
// EXPECT kind=use-after-close late=main destroyer=main touch=tell end=drop birth=main start=- says=itself
#include "case.h"

NOINLINE static void tell(int descriptor)
{
    case_sink = (uintptr_t)write(descriptor, "x", 1);
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
    if (!bug)
        tell(ends[1]);
    drop(ends[1]);
    if (bug)
        tell(ends[1]);
    return 0;
}
