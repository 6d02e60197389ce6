// Two threads both free the same object.
// EXPECT kind=double-free late=second destroyer=main touch=drop end=drop birth=main start=main
#include "case.h"

NOINLINE static void drop(void *object)
{
    free(object);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("second");
    if (argument != NULL)
        drop(argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    char *object = malloc(100);
    pthread_t thread;
    drop(object);
    pthread_create(&thread, NULL, run, bug ? object : NULL);
    pthread_join(thread, NULL);
    return 0;
}
