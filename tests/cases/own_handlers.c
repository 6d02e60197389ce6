// The program handles its own faults: with siglongjmp, on its own signal stack and off it, and
// reads back what it set. For the bug its SIGSEGV and SIGABRT handlers end it with status 0: the
// report and the SIGABRT come all the same.
// EXPECT kind=late-touch late=reader destroyer=main touch=use end=drop birth=main start=main
#include "case.h"

#include <setjmp.h>
#include <sys/mman.h>

static sigjmp_buf back;
static volatile int handled;

static void jump(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    handled++;
    siglongjmp(back, 1);
}

static char *trap_page;

static void repair(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    handled++;
    mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE);
}

static void leave(int number)
{
    (void)number;
    _exit(0);
}

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

static int faults(int flags, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags}, seen;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGBUS);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGSEGV, NULL, &seen);
    if (seen.sa_sigaction != handler || (seen.sa_flags & ~0x04000000) != action.sa_flags ||
        !sigismember(&seen.sa_mask, SIGBUS))
        return 1;
    for (int i = 0; i < 100; i++) {
        mprotect(trap_page, 4096, PROT_NONE);
        if (sigsetjmp(back, 1) == 0)
            case_sink = (uintptr_t) * (volatile char *)trap_page;
    }
    return 0;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    long *data = calloc(4, sizeof *data);
    pthread_t thread;
    trap_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room}, seen = {0};
    if (sigaltstack(NULL, &seen) != 0 || seen.ss_flags != SS_DISABLE)
        return 4;
    if (faults(0, jump) + faults(0, repair) != 0)
        return 5;
    sigaltstack(&stack, NULL);
    if (sigaltstack(NULL, &seen) != 0 || seen.ss_sp != room)
        return 6;
    if (faults(SA_ONSTACK, jump) + faults(SA_ONSTACK, repair) != 0 || handled != 400)
        return 7;
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &old);
    if (!sigismember(&old, SIGSEGV))
        return 8;
    signal(SIGSEGV, leave);
    signal(SIGABRT, leave);
    pthread_create(&thread, NULL, run, data);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, NULL);
    }
    drop(data);
    if (bug)
        case_await(2);
    return 0;
}
