// A library's signal handler stays installed when the library is closed.
// LIBRARY
// EXPECT kind=use-after-unload late=main destroyer=main touch=on_signal end=drop birth=load reports=2 says=is.still.the.handler.of.signal.10
#include "unload.h"

#ifdef CASE_LIBRARY
NOINLINE static void on_signal(int number)
{
    case_sink += (uintptr_t)number;
}

void install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
}
#else
int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void (*install)(void);
    void *library = load();
    unload_find(library, "install", install);
    install();
    raise(SIGUSR1);
    if (!bug)
        signal(SIGUSR1, SIG_IGN);
    drop(library);
    raise(SIGUSR1);
    return 0;
}
#endif
