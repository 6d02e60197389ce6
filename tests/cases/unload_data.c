// A thread goes on reading a library's data when the library is closed.
// LIBRARY
// EXPECT kind=use-after-unload grade=possible late=worker destroyer=main touch=run end=drop birth=load start=main exit=139
#include "unload.h"

#ifdef CASE_LIBRARY
volatile int level = 3;
#else
static volatile int *level;

static void *run(void *nothing)
{
    case_name("worker");
    while (!case_stopped()) {
        case_sink += (uintptr_t)*level;
        case_round();
    }
    return nothing;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void *library = load();
    pthread_t thread;
    level = dlsym(library, "level");
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        return 3;
    case_await(2);
    if (bug) {
        drop(library);
        case_await(2);
    }
    case_tell_stop();
    pthread_join(thread, NULL);
    if (!bug)
        drop(library);
    return 0;
}
#endif
