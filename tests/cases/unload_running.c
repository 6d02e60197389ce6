// A library is closed while a thread still waits in one of its functions.
// LIBRARY
// EXPECT kind=use-after-unload late=worker destroyer=main touch=work end=drop birth=load start=main reports=2 says=unload-while-in-use
#include "unload.h"

#ifdef CASE_LIBRARY
NOINLINE int work(int pipe)
{
    char byte = 1;
    for (int i = 0; i < 2; i++)
        if (read(pipe, &byte, 1) != 1)
            return 0;
    return byte + 1;
}
#else
static int (*work)(int);
static int ends[2];

static void *run(void *nothing)
{
    case_name("worker");
    waits_note();
    case_round();
    case_sink += (uintptr_t)work(ends[0]);
    case_round();
    return nothing;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    void *library = load();
    pthread_t thread;
    unload_find(library, "work", work);
    if (pipe(ends) != 0 || pthread_create(&thread, NULL, run, NULL) != 0)
        return 3;
    case_await_from(0, 1);
    waits_await(SYS_read);
    if (bug)
        drop(library);
    if (write(ends[1], "12", 2) != 2)
        return 3;
    pthread_join(thread, NULL);
    if (!bug)
        drop(library);
    return 0;
}
#endif
