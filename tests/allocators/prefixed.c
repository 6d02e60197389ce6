/* A heap with names of its own beside glibc's, as programs have a jemalloc whose functions are
 * called je_malloc and so on. Argument: ok, or bug, where a thread outlives one of its blocks. */
#include "case.h"

void *je_malloc(size_t size);
void *je_calloc(size_t count, size_t size);
void *je_realloc(void *block, size_t size);
void je_free(void *block);

struct item {
    volatile unsigned hits;
    char text[90];
};

NOINLINE static void touch(struct item *item)
{
    item->hits++;
    case_sink++;
}

static void *run(void *argument)
{
    while (!case_stopped()) {
        touch(argument);
        case_round();
    }
    return NULL;
}

static void use(size_t size)
{
    char *block = je_malloc(size), *other = malloc(size);
    memset(block, 'a', size);
    memset(other, 'b', size);
    block = je_realloc(block, size * 3);
    other = realloc(other, size * 3);
    if (block[0] != 'a' || block[size - 1] != 'a' || other[size - 1] != 'b')
        exit(3);
    je_free(block);
    free(other);
    block = je_calloc(size, 2);
    if (block[size] != 0)
        exit(4);
    je_free(block);
}

int main(int count, char **arguments)
{
    bool bug = count == 2 && strcmp(arguments[1], "bug") == 0;
    for (size_t i = 0; i < 2000; i++)
        use(i % 300 + 1);
    struct item *item = je_calloc(1, sizeof *item);
    pthread_t thread;
    pthread_create(&thread, NULL, run, item);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    je_free(item);
    if (bug)
        case_await(2);
    puts("fine");
    return 0;
}
