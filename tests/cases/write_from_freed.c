// A thread writes out of a freed buffer of a busy site: the kernel reads it without a word.
// EXPECT kind=late-touch late=sender destroyer=main touch=push end=drop birth=- start=main
#include "hot.h"

static int ends[2];

NOINLINE static long push(const char *buffer)
{
    long sent = write(ends[1], buffer, 32);
    case_sink = (uintptr_t)sent;
    return sent;
}

NOINLINE static void drop(char *buffer)
{
    free(buffer);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("sender");
    push(argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    char *buffer = hot_allocate(64);
    pthread_t thread;
    if (pipe(ends) != 0)
        return 3;
    if (bug)
        drop(buffer);
    pthread_create(&thread, NULL, run, buffer);
    pthread_join(thread, NULL);
    if (!bug)
        drop(buffer);
    return 0;
}
