// A worker that is paused by another thread before its object goes: it tells the controller by one
// semaphore, and the controller main by another, so that main has had no lock of the worker's.
// EXPECT silent
#include "case.h"

#include <semaphore.h>

struct service {
    pthread_mutex_t mutex;
    int calls;
};

static struct service *service;
static sem_t paused, stopped;

static void *serve(void *unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++) {
        usleep(300);
        pthread_mutex_lock(&service->mutex);
        service->calls++;
        pthread_mutex_unlock(&service->mutex);
    }
    sem_post(&paused);
    sleep(1000);
    return NULL;
}

static void *control(void *unused)
{
    sem_wait(&paused);
    sem_post(&stopped);
    return unused;
}

static void stop(void)
{
    pthread_t worker, controller;
    pthread_create(&worker, NULL, serve, NULL);
    pthread_create(&controller, NULL, control, NULL);
    sem_wait(&stopped);
    free(service);
    pthread_join(controller, NULL);
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    service = malloc(sizeof *service);
    pthread_mutex_init(&service->mutex, NULL);
    sem_init(&paused, 0, 0);
    sem_init(&stopped, 0, 0);
    atexit(stop);
    return 0;
}
