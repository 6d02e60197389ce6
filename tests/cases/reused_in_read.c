// A thread waits in read() while its pipe is closed and another file gets the number: its next read
// would take that one's data.
// EXPECT kind=reused-descriptor late=reader destroyer=main touch=fetch end=drop birth=main start=main options=descriptor_quarantine=0 reports=2
#include "waits.h"

static int ends[2];

NOINLINE static void fetch(int descriptor)
{
    char byte;
    case_sink = (uintptr_t)read(descriptor, &byte, 1);
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    waits_note();
    fetch((int)(intptr_t)argument);
    case_sink++;
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int file = 0;
    pthread_t thread;
    /* A signal that nobody minds, as of a child's end, may make the reader begin its read anew. */
    signal(SIGPIPE, SIG_IGN);
    if (pipe(ends) != 0)
        return 3;
    pthread_create(&thread, NULL, run, (void *)(intptr_t)ends[0]);
    waits_await(SYS_read);
    if (bug) {
        drop(ends[0]);
        file = open("/dev/zero", O_RDONLY);
        if (file != ends[0])
            return 4;
    }
    case_sink = (uintptr_t)write(ends[1], "x", 1);
    pthread_join(thread, NULL);
    if (!bug)
        drop(ends[0]);
    return 0;
}
