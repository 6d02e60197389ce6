// A pipe is closed twice; in between its number has become an accepted connection's, whose owner
// meets the damage: the report tells of both closes.
// EXPECT kind=use-after-close late=session destroyer=second touch=prepare end=drop birth=main start=main options=descriptor_quarantine=0 says=Earlier.close
#include "case.h"

#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

NOINLINE static void prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL, 0);
    assert(flags != -1);
    case_sink = (uintptr_t)flags;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *close_it(void *argument)
{
    case_name("second");
    drop((int)(intptr_t)argument);
    return NULL;
}

static void *serve(void *argument)
{
    case_name("session");
    prepare((int)(intptr_t)argument);
    case_sink++;
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int ends[2], listener = socket(AF_INET, SOCK_STREAM, 0),
                 client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    if (pipe(ends) != 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(client, (struct sockaddr *)&address, length) != 0)
        return 3;
    drop(ends[0]);
    int connection = accept(listener, NULL, NULL);
    if (connection != ends[0])
        return 4;
    pthread_create(&thread, NULL, close_it, (void *)(intptr_t)ends[bug ? 0 : 1]);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection);
    pthread_join(thread, NULL);
    return 0;
}
