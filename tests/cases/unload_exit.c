// The program registers a library's function with atexit, and closes the library.
// LIBRARY
// EXPECT kind=use-after-unload late=main destroyer=main touch=clean_up end=drop birth=load reports=2 says=is.still.an.exit.handler
#include "unload.h"

#ifdef CASE_LIBRARY
static volatile int cleaned;

NOINLINE void clean_up(void)
{
    cleaned++;
}
#else
int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void (*clean_up)(void);
    void *library = load();
    unload_find(library, "clean_up", clean_up);
    atexit(clean_up);
    if (bug)
        drop(library);
    return 0;
}
#endif
