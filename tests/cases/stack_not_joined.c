// A worker returns; the main thread sees its result, and joins it only later.
// EXPECT kind=late-touch ended=yes late=main destroyer=worker touch=look end=work birth=main start=- says=not.joined.yet
#include "case.h"

struct result {
    long sums[8];
};

static struct result *volatile shared;

NOINLINE static long look(const struct result *result)
{
    return *(volatile const long *)&result->sums[3];
}

NOINLINE static void publish(struct result *result)
{
    result->sums[3] = 7;
    shared = result;
    case_round();
}

static void *work(void *waits)
{
    struct result result = {{0}};
    case_name("worker");
    publish(&result);
    while (waits != NULL && !case_stopped())
        sched_yield();
    case_sink = (uintptr_t)result.sums[3];
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, NULL, work, bug ? NULL : &thread);
    case_await_from(0, 1);
    for (int i = 0; i < (bug ? 1000 : 100); i++) {
        case_sink = (uintptr_t)look(shared);
        usleep(1000);
    }
    case_tell_stop();
    pthread_join(thread, NULL);
    return 0;
}
