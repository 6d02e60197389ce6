// A thread made by clone(), unknown to libc, uses a freed object.
// EXPECT kind=late-touch late=* destroyer=main touch=use end=drop birth=main start=-
#include "case.h"

#include <linux/futex.h>
#include <sys/syscall.h>

static char stack[256 * 1024] __attribute__((aligned(16)));
static volatile int alive = 1;

NOINLINE static long use(const volatile long *data)
{
    return data[1];
}

NOINLINE static void drop(long *data)
{
    free(data);
    case_sink++;
}

static int run(void *argument)
{
    while (!case_stopped()) {
        case_sink = (uintptr_t)use(argument);
        __atomic_fetch_add(&case_rounds, 1, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&alive, 0, __ATOMIC_SEQ_CST);
    syscall(SYS_exit, 0);
    return 0;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(4, sizeof *data);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    if (clone(run, stack + sizeof stack, flags, data) < 0)
        return 3;
    case_await(2);
    if (!bug) {
        case_tell_stop();
        while (alive)
            sched_yield();
    }
    drop(data);
    if (bug)
        case_await(1000000);
    return 0;
}
