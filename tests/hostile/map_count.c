/* The kernel's limit on mappings is reached by the program itself (vm.max_map_count): objects still
 * die, threads still start in what little room is left, and all goes on when the room is back. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define SPARED 64 /* mappings left for threads */

static void *work(void *argument)
{
    char *volatile blocks[64];
    for (int i = 0; i < 64; i++) {
        blocks[i] = malloc(100 + (size_t)i);
        blocks[i][0] = 'x';
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    return argument;
}

int main(void)
{
    const unsigned long most = 1ul << 20;
    char *all =
        mmap(NULL, most * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    unsigned long made = 1;
    /* Every other page with another protection: each is a mapping of its own. */
    while (made < most && mprotect(all + made * PAGE, PAGE, PROT_READ) == 0)
        made += 2;
    printf("limit %s\n", made < most ? "reached" : "not reached");
    for (unsigned long i = 0; i < SPARED; i++)
        (void)mprotect(all + (made - 2 - 2 * i) * PAGE, PAGE, PROT_NONE);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0) {
            puts("no thread");
            return 1;
        }
        (void)pthread_join(thread, NULL);
        (void)work(NULL);
    }
    (void)munmap(all, most * PAGE);
    (void)work(NULL);
    puts("done");
    return 0;
}
