// Ten thousand short threads, joined and detached: no growing memory, nothing to tell.
// EXPECT silent
#include "case.h"

static void *run(void *argument)
{
    void *block = malloc(100);
    case_sink = (uintptr_t)block;
    free(block);
    case_round();
    return argument;
}

static long resident_pages(void)
{
    long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident;
}

int main(int count, char **arguments)
{
    long early = 0;
    case_is_bug(count, arguments);
    for (int i = 0; i < 10000; i++) {
        pthread_t thread;
        unsigned before = case_rounds_now();
        if (pthread_create(&thread, NULL, run, NULL) != 0)
            return 3;
        if (i % 10 == 0) {
            pthread_detach(thread);
            case_await_from(before, 1); /* it may have run already */
        } else {
            pthread_join(thread, NULL);
        }
        if (i == 3000)
            early = resident_pages();
    }
    return resident_pages() > early + 1024 ? 4 : 0;
}
