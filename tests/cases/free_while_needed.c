// A thread has told that it needs a block of the heap until its end, which is freed while it lives.
// A part of the block was told as an object of its own.
// EXPECT kind=death-while-needed grade=imminent exit=0 late=worker destroyer=main touch=run end=drop birth=make start=main says=object.'engine'.from.malloc
#include "case.h"

#include <outlive.h>

struct engine {
    long name[4];
    struct {
        long steps;
    } pump;
};

NOINLINE static struct engine *make(void)
{
    struct engine *engine = malloc(sizeof *engine);
    outlive_born(engine, sizeof *engine, "engine");
    outlive_born(&engine->pump, sizeof engine->pump, "pump");
    return engine;
}

NOINLINE static void drop(struct engine *engine)
{
    free(engine);
    case_sink++;
}

static void *run(void *argument)
{
    struct engine *engine = argument;
    case_name("worker");
    outlive_thread_needs(&engine->pump);
    while (!case_stopped())
        case_round();
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    struct engine *engine = make();
    pthread_create(&thread, NULL, run, engine);
    case_await_from(0, 1);
    if (bug)
        drop(engine);
    case_tell_stop();
    pthread_join(thread, NULL);
    if (!bug)
        drop(engine);
    return 0;
}
