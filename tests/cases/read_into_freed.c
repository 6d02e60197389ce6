// A thread waits in read() while its buffer is freed; the kernel then fails with EFAULT.
// EXPECT kind=late-touch late=reader destroyer=main touch=fetch end=drop birth=main start=main
#include "case.h"

static int ends[2];

NOINLINE static long fetch(char *buffer)
{
    long got = read(ends[0], buffer, 64);
    case_sink = (uintptr_t)got;
    return got;
}

NOINLINE static void drop(char *buffer)
{
    free(buffer);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    case_round();
    fetch(argument);
    case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    char *buffer = malloc(64);
    pthread_t thread;
    if (pipe(ends) != 0)
        return 3;
    pthread_create(&thread, NULL, run, buffer);
    if (bug) {
        drop(buffer);
        if (write(ends[1], "late", 4) != 4)
            return 3;
        pthread_join(thread, NULL);
    } else {
        if (write(ends[1], "good", 4) != 4)
            return 3;
        pthread_join(thread, NULL);
        drop(buffer);
    }
    return 0;
}
