// An eventfd of a busy place is closed while a thread waits in eventfd_read.
// EXPECT kind=close-while-in-use grade=imminent exit=0 late=reader destroyer=main touch=fetch end=drop birth=make start=main says=eventfd_read()
#include "waits.h"

#include <sys/eventfd.h>

static int descriptor, spare;

NOINLINE static int make(void)
{
    int made = eventfd(0, 0);
    case_sink++;
    return made;
}

NOINLINE static void fetch(void)
{
    eventfd_t value;
    case_sink = (uintptr_t)eventfd_read(descriptor, &value);
}

NOINLINE static void drop(int number)
{
    close(number);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    waits_note();
    fetch();
    case_sink++;
    return argument;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    uint64_t one = 1;
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        close(make());
    descriptor = make();
    spare = dup(descriptor);
    pthread_create(&thread, NULL, run, NULL);
    waits_await(SYS_read);
    if (bug)
        drop(descriptor);
    if (write(spare, &one, sizeof one) != sizeof one)
        return 3;
    pthread_join(thread, NULL);
    if (!bug)
        drop(descriptor);
    return 0;
}
