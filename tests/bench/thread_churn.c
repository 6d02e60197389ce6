/* Thread churn: ten thousand threads created and joined, eight alive at a time. Usage: thread_churn
 * [THREADS] */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIVE = 8 };

static void *run(void *argument)
{
    char *block = malloc(100);
    block[0] = (char)(uintptr_t)argument;
    free(block);
    return NULL;
}

int main(int count, char **arguments)
{
    long threads = count > 1 ? atol(arguments[1]) : 10000;
    pthread_t alive[ALIVE];
    for (long i = 0; i < threads; i++) {
        if (i >= ALIVE)
            pthread_join(alive[i % ALIVE], NULL);
        if (pthread_create(&alive[i % ALIVE], NULL, run, NULL) != 0)
            return 1;
    }
    for (long i = 0; i < ALIVE && i < threads; i++)
        pthread_join(alive[i], NULL);
    return 0;
}
