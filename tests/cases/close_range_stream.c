// A range of one number is closed, that of a stream, and the stream is not.
// EXPECT kind=stream-descriptor-closed grade=imminent exit=0 late=main touch=drop birth=main start=-
#include "case.h"

NOINLINE static void drop(FILE *stream, bool bug)
{
    if (bug)
        close_range((unsigned)fileno(stream), (unsigned)fileno(stream), 0);
    else
        fclose(stream);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    FILE *stream = fopen("/dev/null", "r");
    if (stream == NULL)
        return 3;
    drop(stream, bug);
    return 0;
}
