/* A library of the program: its malloc and free are the program's. */
#include <stdlib.h>
#include <string.h>

void *crossing_make(size_t size);
void crossing_end(void *block);
void *crossing_grow(void *block, size_t size);

void *crossing_make(size_t size)
{
    void *block = malloc(size);
    if (block != NULL)
        memset(block, 'c', size);
    return block;
}

void crossing_end(void *block)
{
    free(block);
}

void *crossing_grow(void *block, size_t size)
{
    return realloc(block, size);
}
