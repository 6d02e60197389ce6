// A pointer into the middle of an object is freed.
// EXPECT kind=invalid-free late=main destroyer=- touch=drop end=- birth=main start=-
#include "case.h"

NOINLINE static void drop(void *object)
{
    free(object);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    char *object = malloc(100);
    case_sink = (uintptr_t)object;
    drop(bug ? object + 16 : object);
    return 0;
}
