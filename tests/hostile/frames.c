/* The same allocation comes from a frame of no fixed size: large on one thread's stack, small on
 * another, whose whole stack is smaller than that. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((noinline)) static void *allocate(size_t size)
{
    char *block = malloc(size);
    __asm__ volatile("" : "+r"(block)::"memory");
    return block;
}

__attribute__((noinline)) static void of_no_fixed_size(size_t room)
{
    char array[room];
    memset(array, 0, 64);
    __asm__ volatile("" ::"r"(array) : "memory");
    void *block = allocate(24);
    __asm__ volatile("" ::"r"(array) : "memory");
    free(block);
}

__attribute__((noinline)) static void outer(size_t room)
{
    of_no_fixed_size(room);
    __asm__ volatile("" ::: "memory");
}

static void *run(void *argument)
{
    for (int i = 0; i < 50; i++)
        outer((size_t)argument);
    return NULL;
}

/* What lies above the stack cannot be read. */
static int start(size_t room, size_t stack)
{
    pthread_t thread;
    pthread_attr_t attributes;
    char *memory =
        mmap(NULL, stack + ((size_t)1 << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, stack, PROT_READ | PROT_WRITE) != 0 ||
        pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstack(&attributes, memory, stack) != 0 ||
        pthread_create(&thread, &attributes, run, (void *)room) != 0)
        return 1;
    return pthread_join(thread, NULL);
}

int main(void)
{
    int failed = start(300000, 1 << 20) + start(100, 1 << 16);
    printf("failed: %d\n", failed);
    return failed;
}
