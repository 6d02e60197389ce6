// One thread grows a table; another goes on using the old one. In the twin it stays where it is.
// EXPECT kind=late-touch late=reader destroyer=main touch=first end=grow birth=main start=main
#include "case.h"

NOINLINE static long first(const volatile long *table)
{
    return table[0];
}

NOINLINE static long *grow(long *table, size_t entries)
{
    long *grown = realloc(table, entries * sizeof *table);
    case_sink = (uintptr_t)grown;
    return grown;
}

static void *run(void *argument)
{
    case_name("reader");
    while (!case_stopped()) {
        case_sink = (uintptr_t)first(argument);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *table = calloc(16, sizeof *table);
    pthread_t thread;
    pthread_create(&thread, NULL, run, table);
    case_await(2);
    table = grow(table, bug ? 100000 : 12);
    case_await(2);
    case_tell_stop();
    pthread_join(thread, NULL);
    free(table);
    return 0;
}
