// The value of a thread's key, which the key's destructor frees when the thread ends, is kept by
// another thread.
// EXPECT kind=late-touch late=reader destroyer=owner touch=look end=drop birth=own start=main
#include "case.h"

static pthread_key_t key;
static long *volatile kept;
static volatile bool may_end;

NOINLINE static long look(const volatile long *value)
{
    return value[3];
}

NOINLINE static void drop(void *value)
{
    free(value);
    case_sink++;
}

static void *own(void *unused)
{
    long *value = calloc(8, sizeof *value);
    case_name("owner");
    pthread_setspecific(key, value);
    kept = value;
    while (!may_end)
        sched_yield();
    return unused;
}

static void *read_value(void *unused)
{
    case_name("reader");
    while (kept == NULL)
        sched_yield();
    while (!case_stopped()) {
        case_sink = (uintptr_t)look(kept);
        case_round();
    }
    return unused;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t owner, reader;
    pthread_key_create(&key, drop);
    pthread_create(&owner, NULL, own, NULL);
    pthread_create(&reader, NULL, read_value, NULL);
    case_await_from(0, 2);
    if (bug) {
        may_end = true;
        pthread_join(owner, NULL);
        case_await(2);
    }
    case_tell_stop();
    pthread_join(reader, NULL);
    may_end = true;
    if (!bug)
        pthread_join(owner, NULL);
    return 0;
}
