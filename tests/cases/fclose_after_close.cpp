// The descriptor of a stream is closed, then the stream by another thread.
// EXPECT kind=double-close late=writer destroyer=main touch=finish end=drop birth=main start=main reports=2
#include "case.h"

#include <thread>

NOINLINE static void finish(FILE *stream)
{
    fclose(stream);
    case_sink++;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int spare = dup(1);
    FILE *stream = fopen("/dev/null", "r");
    if (stream == NULL)
        return 3;
    drop(bug ? fileno(stream) : spare);
    std::thread writer([&] {
        case_name("writer");
        finish(stream);
        case_sink++;
    });
    writer.join();
    return 0;
}
