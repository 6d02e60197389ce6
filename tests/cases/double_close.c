// Two threads both close the same end of a pipe; nobody got the number in between.
// EXPECT kind=double-close late=second destroyer=main touch=drop end=drop birth=main start=main says=EBADF
#include "case.h"

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("second");
    drop((int)(intptr_t)argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int ends[2];
    pthread_t thread;
    if (pipe(ends) != 0)
        return 3;
    drop(ends[0]);
    pthread_create(&thread, NULL, run, (void *)(intptr_t)ends[bug ? 0 : 1]);
    pthread_join(thread, NULL);
    return 0;
}
