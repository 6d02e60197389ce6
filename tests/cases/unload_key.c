// A key's destructor lies in a library that is closed before the thread with a value ends.
// LIBRARY
// EXPECT kind=use-after-unload late=worker destroyer=main touch=* end=drop birth=load start=main reports=2 says=is.still.the.destructor
#include "unload.h"

#ifdef CASE_LIBRARY
static pthread_key_t key;

NOINLINE static void end_value(void *value)
{
    case_sink += (uintptr_t)value;
}

void begin(void)
{
    pthread_key_create(&key, end_value);
}

void set(void *value)
{
    pthread_setspecific(key, value);
}

void end(void)
{
    pthread_key_delete(key);
}
#else
static void (*set)(void *);
static bool is_bug;

static void *run(void *value)
{
    case_name("worker");
    set(value);
    case_round();
    while (!case_stopped())
        sched_yield();
    return NULL;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    void (*begin)(void), (*end)(void);
    void *library = load();
    unload_find(library, "begin", begin);
    unload_find(library, "set", set);
    unload_find(library, "end", end);
    begin();
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &is_bug) != 0)
        return 3;
    case_await_from(0, 1);
    if (!is_bug)
        end();
    drop(library);
    case_tell_stop();
    pthread_join(thread, NULL);
    return 0;
}
#endif
