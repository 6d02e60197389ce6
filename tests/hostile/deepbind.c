/* dlopen with RTLD_DEEPBIND of a library that frees what the program and libc made, and the other
 * way round: no block may come to an allocator that did not make it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
    void *library = count < 2 ? NULL : dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL) {
        puts("no library");
        return 1;
    }
    char *(*make)(void) = (char *(*)(void))dlsym(library, "deep_make");
    void (*destroy)(char *) = (void (*)(char *))dlsym(library, "deep_destroy");
    char *(*round_trip)(char *) = (char *(*)(char *))dlsym(library, "deep_copy_and_free");
    for (int i = 0; i < 100; i++) {
        char *block = malloc(64 + (size_t)i);
        block[0] = 'p';
        destroy(block);
        block = make();
        putchar(block[0]);
        free(block);
        block = calloc(1, 50);
        block[0] = 'q';
        block = round_trip(block);
        putchar(block[0]);
        free(block);
    }
    puts("");
    return dlclose(library);
}
