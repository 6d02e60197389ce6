// A program closes every descriptor and opens a data file, which gets number 2: nothing of the shim
// may land in it. The run fails by itself if it does.
// EXPECT kind=late-touch late=reader destroyer=main touch=use end=drop birth=main start=main output=log
#include "case.h"

#include <fcntl.h>
#include <sys/stat.h>

NOINLINE static long use(const volatile long *data)
{
    return data[1];
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("reader");
    while (!case_stopped()) {
        case_sink = (uintptr_t)use(argument);
        case_round();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    for (int descriptor = 0; descriptor < 5000; descriptor++)
        close(descriptor);
    char path[] = "/tmp/outlive-case-XXXXXX";
    int data_file = -1;
    while (data_file < 2)
        data_file = data_file < 0 ? mkstemp(path) : dup(data_file);
    unlink(path);
    long *data = calloc(4, sizeof *data);
    pthread_t thread;
    pthread_create(&thread, NULL, run, data);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(data);
    if (bug)
        case_await(2);
    struct stat status;
    return fstat(2, &status) == 0 && status.st_size == 0 ? 0 : 9;
}
