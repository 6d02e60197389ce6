// A descriptor of a busy place is closed twice: its number is free, but nobody else took it.
// EXPECT kind=double-close late=second destroyer=main touch=drop end=drop birth=make start=main
#include "case.h"

#include <fcntl.h>

NOINLINE static int make(void)
{
    int descriptor = open("/dev/null", O_RDONLY);
    case_sink++;
    return descriptor;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("second");
    if (argument != NULL)
        drop((int)(intptr_t)argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    int descriptor = -1;
    for (int i = 0; i < 100; i++) {
        descriptor = make();
        drop(descriptor);
    }
    pthread_create(&thread, NULL, run, (void *)(intptr_t)(bug ? descriptor : 0));
    pthread_join(thread, NULL);
    return 0;
}
