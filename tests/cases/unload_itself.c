// A library's function closes the library.
// LIBRARY
// EXPECT kind=use-after-unload late=main destroyer=main touch=leave end=leave birth=load reports=2 says=is.inside.unload_itself
#include "unload.h"

#ifdef CASE_LIBRARY
NOINLINE int leave(void *library)
{
    return library == NULL ? 0 : dlclose(library) + 1;
}
#else
int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void *library = load();
    int (*leave)(void *);
    unload_find(library, "leave", leave);
    case_sink = (uintptr_t)leave(bug ? library : NULL);
    if (!bug)
        drop(library);
    return 0;
}
#endif
