/* The library that deepbind.c loads: strdup allocates inside libc, free is asked for here. */
#include <stdlib.h>
#include <string.h>

char *deep_make(void);
void deep_destroy(char *block);
char *deep_copy_and_free(char *block);

char *deep_make(void)
{
    return strdup("made by the library");
}

void deep_destroy(char *block)
{
    free(block);
}

char *deep_copy_and_free(char *block)
{
    char *first = strdup(block), *copy;
    free(block);
    copy = realloc(first, 500);
    return copy;
}
