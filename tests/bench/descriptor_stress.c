/* Descriptor stress: threads (four) open and close descriptors, or pass bytes through a pipe.
 * Usage: descriptor_stress open|socket|pipe|pass [ITERATIONS [THREADS]] */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MOST = 1000 };

static long iterations = 200000; /* of each thread */

static void *open_and_close(void *nothing)
{
    for (long i = 0; i < iterations; i++)
        close(open("/dev/null", O_RDONLY));
    return nothing;
}

static void *socket_and_close(void *nothing)
{
    for (long i = 0; i < iterations; i++)
        close(socket(AF_INET, SOCK_STREAM, 0));
    return nothing;
}

static void *pipe_and_close(void *nothing)
{
    for (long i = 0; i < iterations; i++) {
        int ends[2];
        if (pipe(ends) != 0)
            exit(1);
        close(ends[0]);
        close(ends[1]);
    }
    return nothing;
}

static void *pass(void *nothing)
{
    int ends[2];
    char byte = 'x';
    if (pipe(ends) != 0)
        exit(1);
    for (long i = 0; i < iterations; i++)
        if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
            exit(1);
    return nothing;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void *(*run)(void *);
    } works[] = {{"open", open_and_close},
                 {"socket", socket_and_close},
                 {"pipe", pipe_and_close},
                 {"pass", pass}};
    static pthread_t threads[THREADS_MOST];
    void *(*run)(void *) = NULL;
    uintptr_t used = 4;
    for (size_t i = 0; count > 1 && i < sizeof works / sizeof *works; i++)
        if (strcmp(arguments[1], works[i].name) == 0)
            run = works[i].run;
    if (count > 2)
        iterations = atol(arguments[2]);
    if (count > 3)
        used = (uintptr_t)atol(arguments[3]);
    if (run == NULL || used > THREADS_MOST)
        return 2;
    for (uintptr_t i = 0; i < used; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            return 1;
    for (uintptr_t i = 0; i < used; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
