// Two threads both close the same end of a pipe, and a new connection wants its number in between:
// it must not get it. In a loop over what each closer holds, as event loops have.
// EXPECT kind=double-close late=second destroyer=main touch=drop_all end=drop birth=make start=main
#include "case.h"

#include <sys/socket.h>

static int ends[2], sockets[2];

NOINLINE static void make(void)
{
    if (pipe(ends) != 0)
        exit(3);
    case_sink++;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

NOINLINE static void drop_all(const int *descriptors, int count)
{
    for (int i = 0; i < count; i++)
        close(descriptors[i]);
    case_sink++;
}

static void *run(void *argument)
{
    int all[2] = {ends[argument != NULL ? 0 : 1], sockets[0]};
    case_name("second");
    drop_all(all, 2);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    make();
    drop(ends[0]);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        return 3;
    pthread_create(&thread, NULL, run, bug ? &bug : NULL);
    pthread_join(thread, NULL);
    char byte;
    return read(sockets[1], &byte, 1) != 0; /* its other end was closed */
}
