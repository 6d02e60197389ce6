// The descriptor of a stream is closed, a socket gets the number, and fclose() closes the socket.
// EXPECT kind=double-close late=writer destroyer=main touch=finish end=drop birth=main start=main reports=2 options=descriptor_quarantine=0 says=New.owner
#include "case.h"

#include <sys/socket.h>

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

static void *run(void *argument)
{
    case_name("writer");
    finish(argument);
    case_sink++;
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    int spare = dup(1);
    FILE *stream = fopen("/dev/null", "r");
    if (stream == NULL)
        return 3;
    drop(bug ? fileno(stream) : spare);
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
        return 3;
    pthread_create(&thread, NULL, run, stream);
    pthread_join(thread, NULL);
    return 0;
}
