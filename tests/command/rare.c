/* A late touch that seldom happens: an exit handler frees what a thread looks at every now and
 * then, and the process is gone before the thread comes round again. With the argument `twin` the
 * thread is joined first. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct monitor {
    long rounds;
};

static struct monitor *monitor;
static volatile int stop;
static pthread_t looker;
static int joins;

static void *look(void *argument)
{
    volatile struct monitor *own = argument;
    while (!stop) {
        own->rounds++;
        usleep(3500);
    }
    return NULL;
}

static void free_monitor(void)
{
    if (joins) {
        stop = 1;
        pthread_join(looker, NULL);
    }
    free(monitor);
}

/* Gone at once: nothing that runs at exit afterwards gives the thread time. */
static void leave(void)
{
    free_monitor();
    _exit(0);
}

int main(int count, char **arguments)
{
    joins = count == 2 && strcmp(arguments[1], "twin") == 0;
    monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL || pthread_create(&looker, NULL, look, monitor) != 0)
        return 1;
    volatile struct monitor *own = monitor;
    long rounds = own->rounds;
    while (own->rounds <= rounds + 1) /* leave just after a touch */
        sched_yield();
    atexit(leave);
    return 0;
}
