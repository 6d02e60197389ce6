// What looks like the unloading of a library in use: it stays, or whoever was in it has left.
// LIBRARY
// EXPECT silent
#include "unload.h"

#ifdef CASE_LIBRARY
static pthread_key_t key;
static pthread_t own;
static timer_t timer;
static int ends[2];
static volatile int handled;

int work(int descriptor)
{
    char byte = 0;
    while (read(descriptor, &byte, 1) == 1 && byte != 'e')
        handled++;
    return handled;
}

static void *run(void *nothing)
{
    pthread_setspecific(key, &key);
    case_sink += (uintptr_t)work(ends[0]);
    return nothing;
}

static void on_signal(int number)
{
    handled += number;
}

static void end_value(void *value)
{
    case_sink += (uintptr_t)value;
}

static void tick(union sigval value)
{
    case_sink += (uintptr_t)value.sival_int;
}

static void clean_up(void)
{
    handled++;
}

void start(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tick};
    struct itimerspec later = {{100, 0}, {100, 0}};
    pthread_key_create(&key, end_value);
    atexit(clean_up);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    if (pipe(ends) != 0 || pthread_create(&own, NULL, run, NULL) != 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
        abort();
    timer_settime(timer, 0, &later, NULL);
    case_sink = 1;
}

/* All that the library has begun it ends when it is unloaded. */
__attribute__((destructor)) static void stop(void)
{
    if (case_sink == 0)
        return;
    if (write(ends[1], "e", 1) != 1)
        abort();
    pthread_join(own, NULL);
    pthread_key_delete(key);
    timer_delete(timer);
    signal(SIGUSR1, SIG_DFL);
    close(ends[0]);
    close(ends[1]);
}
#else
static int (*work)(int);
static int ends[2];

static void *run(void *nothing)
{
    waits_note();
    case_round();
    case_sink += (uintptr_t)work(ends[0]);
    return nothing;
}

/* A thread that was in the library, has a large frame where that was, and waits elsewhere. */
static void *run_elsewhere(void *nothing)
{
    char unused[65536];
    int no[2];
    if (pipe(no) != 0 || write(no[1], "e", 1) != 1)
        return NULL;
    case_sink += (uintptr_t)work(no[0]);
    char *hidden = unused;
    case_hide(hidden);
    waits_note();
    case_round();
    char byte;
    case_sink += (uintptr_t)(read(ends[0], &byte, 1) + hidden[100]);
    close(no[0]);
    close(no[1]);
    return nothing;
}

static void begin(pthread_t *thread, void *(*entry)(void *))
{
    unsigned before = case_rounds_now();
    if (pthread_create(thread, NULL, entry, NULL) != 0)
        abort();
    case_await_from(before, 1);
    waits_await(SYS_read);
}

static void end(const pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++)
        if (write(ends[1], "e", 1) != 1)
            abort();
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

int main(int count, char **arguments)
{
    (void)case_is_bug(count, arguments);
    pthread_t threads[2];
    if (pipe(ends) != 0)
        return 3;
    for (int i = 0; i < 20; i++) { /* it comes back, mostly to the same place */
        void *library = load();
        void (*start)(void);
        unload_find(library, "start", start);
        unload_find(library, "work", work);
        start();
        begin(&threads[0], run);
        begin(&threads[1], run_elsewhere);
        drop(load()); /* counted: it stays */
        end(threads, 2);
        begin(&threads[0], run_elsewhere);
        drop(library);
        end(threads, 1);
    }

    void *library = dlopen(unload_path(), RTLD_NOW | RTLD_NODELETE);
    unload_find(library, "work", work);
    begin(&threads[0], run);
    drop(library);
    end(threads, 1);
    puts("done");
    return 0;
}
#endif
