/* All descriptors are in use: threads start, objects live and die. With `bug` a late touch is
 * reported in words that need no further descriptor. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void *work(void *argument)
{
    for (int i = 0; i < 20; i++) {
        char *volatile block = malloc(200);
        block[0] = 'x';
        free(block);
    }
    return argument;
}

int main(int count, char **arguments)
{
    struct rlimit few = {64, 64};
    (void)setrlimit(RLIMIT_NOFILE, &few);
    while (open("/dev/null", O_RDONLY) >= 0)
        ;
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) == 0)
            (void)pthread_join(thread, NULL);
    }
    puts("done");
    (void)fflush(stdout);
    char *volatile block = malloc(40);
    block[0] = 'y';
    free(block);
    return count > 1 && strcmp(arguments[1], "bug") == 0 ? block[0] == 'z' : 0;
}
