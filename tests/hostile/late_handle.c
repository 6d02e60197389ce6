/* A detached thread frees the object that its own handle is in, maybe before pthread_create has
 * returned: glibc has written the handle before it lets the thread run. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct worker {
    pthread_t handle;
    int work;
};

static atomic_int ended;

static void *run(void *argument)
{
    free(argument);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 500; i++) {
        struct worker *worker = malloc(sizeof *worker);
        if (pthread_create(&worker->handle, &attributes, run, worker) != 0)
            return 1;
        while (atomic_load(&ended) <= i)
            usleep(10);
    }
    puts("done");
    return 0;
}
