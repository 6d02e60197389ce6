/* A library that wants executable stacks is loaded while threads run; afterwards these, and new
 * ones, run code on their stacks, as trampolines of nested functions do. */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic int loaded;

static void *run_there(void *unused)
{
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    volatile unsigned char there[16];
    int (*function)(void);
    const volatile void *start = there;
    while (!loaded)
        sched_yield();
    for (size_t i = 0; i < sizeof code; i++)
        there[i] = code[i];
    memcpy(&function, &start, sizeof function);
    printf("%d\n", function());
    return unused;
}

int main(int count, char **arguments)
{
    pthread_t threads[4];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run_there, NULL) != 0)
            return 1;
    if (count < 2 || dlopen(arguments[1], RTLD_NOW) == NULL) {
        puts("it cannot be loaded here"); /* newer libcs refuse */
        return 0;
    }
    loaded = 1;
    for (int i = 2; i < 4; i++)
        if (pthread_create(&threads[i], NULL, run_there, NULL) != 0)
            return 1;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
