// Legal things around threads' stacks: what the program sees of them is what it sees bare.
// EXPECT silent
#include "case.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>

static void check(bool ok, int status)
{
    if (!ok)
        _exit(status);
}

static void print_own(const char *what)
{
    pthread_attr_t attributes;
    void *start;
    size_t size, guard_size;
    int state;
    check(pthread_getattr_np(pthread_self(), &attributes) == 0, 10);
    check(pthread_attr_getstack(&attributes, &start, &size) == 0, 11);
    check(pthread_attr_getguardsize(&attributes, &guard_size) == 0, 12);
    check(pthread_attr_getdetachstate(&attributes, &state) == 0, 13);
    check((char *)&size > (char *)start && (char *)&size < (char *)start + size, 14);
    printf("%s: %zu bytes, guard %zu, state %d, end at %zu of its page\n", what, size, guard_size,
           state, ((uintptr_t)start + size) % 4096);
    pthread_attr_destroy(&attributes);
}

static void *show(void *what)
{
    print_own(what);
    return what;
}

static void run_with(const char *what, size_t size, size_t guard_size)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *result = NULL;
    pthread_attr_init(&attributes);
    if (size != 0)
        check(pthread_attr_setstacksize(&attributes, size) == 0, 15);
    if (guard_size != SIZE_MAX)
        check(pthread_attr_setguardsize(&attributes, guard_size) == 0, 16);
    int failure = pthread_create(&thread, &attributes, show, (void *)(uintptr_t)what);
    if (failure != 0)
        printf("%s: %s\n", what, strerror(failure));
    else
        check(pthread_join(thread, &result) == 0 && result == what, 17);
    pthread_attr_destroy(&attributes);
}

static void sizes(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    /* Small ones first: libc gives larger stacks of ended threads, too. */
    run_with("small", 65536, 0);
    run_with("odd", 200001, 5000);
    run_with("large guard", 1 << 20, 1 << 18);
    check(pthread_create(&thread, NULL, show, "default") == 0, 18);
    pthread_join(thread, NULL);
    run_with("default, guard 0", 0, 0);
    run_with("large", 64 << 20, SIZE_MAX);
    run_with("smallest", 16384, 4096);
    run_with("guard beyond all", 1 << 20, SIZE_MAX - 100);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
    check(pthread_create(&thread, &attributes, show, "with affinity") == 0, 19);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

static void own_stack(void)
{
    static const size_t size = 1 << 20;
    pthread_attr_t attributes;
    pthread_t thread;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(stack != MAP_FAILED, 20);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, size);
    check(pthread_create(&thread, &attributes, show, "own") == 0, 21);
    pthread_join(thread, NULL);
    long used = 0;
    for (size_t i = 0; i < size; i++) /* what was left there may be read */
        used += stack[i] != 0;
    check(used > 0, 22);
    pthread_attr_destroy(&attributes);
    munmap(stack, size);
}

static __thread sigjmp_buf out;
static __thread char *lowest, *overflowed;

static void on_overflow(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    overflowed = info->si_addr;
    siglongjmp(out, info->si_code);
}

NOINLINE static int descend(volatile char *above)
{
    volatile char frame[512];
    frame[0] = above[0];
    return above[0] == 0 ? 0 : descend(frame) + frame[0];
}

static void *overflow(void *unused)
{
    char *handlers = malloc(65536);
    stack_t alternate = {.ss_sp = handlers, .ss_size = 65536}, none = {.ss_flags = SS_DISABLE};
    pthread_attr_t attributes;
    void *start;
    size_t size, guard_size;
    volatile char first = 1;
    sigaltstack(&alternate, NULL);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &start, &size);
    pthread_attr_getguardsize(&attributes, &guard_size);
    pthread_attr_destroy(&attributes);
    lowest = start;
    int code = sigsetjmp(out, 1);
    if (code == 0)
        case_sink = (uintptr_t)descend(&first);
    printf("overflow: code %d, in the guard: %d\n", code,
           overflowed < lowest && overflowed >= lowest - guard_size);
    sigaltstack(&none, NULL);
    free(handlers);
    return unused;
}

static void deep(void)
{
    struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction before;
    pthread_t thread;
    sigaction(SIGSEGV, &action, &before);
    check(pthread_create(&thread, NULL, overflow, NULL) == 0, 30);
    pthread_join(thread, NULL);
    sigaction(SIGSEGV, &before, NULL);
}

static void *large_frame(void *unused)
{
    volatile char *block = __builtin_alloca(6 << 20);
    for (size_t i = 0; i < 6 << 20; i += 4096)
        block[i] = 1;
    return unused;
}

static __thread char many[30000];

static void *fill_many(void *unused)
{
    check(many[0] == 0 && many[sizeof many - 1] == 0, 31);
    memset(many, 7, sizeof many);
    return unused;
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int negative(void *unused)
{
    (void)unused;
    return -7;
}

static void *nothing(void *unused)
{
    return unused;
}

/* The waiter may end, and its stack with it, as soon as it was posted. */
static void *wait_once(void *place)
{
    sem_t own;
    sem_init(&own, 0, 0);
    __atomic_store_n((sem_t **)place, &own, __ATOMIC_SEQ_CST);
    sem_wait(&own);
    sem_destroy(&own);
    return NULL;
}

static void ends(void)
{
    pthread_t thread;
    void *result;
    for (int i = 0; i < 4; i++) {
        check(pthread_create(&thread, NULL, large_frame, NULL) == 0, 32);
        pthread_join(thread, NULL);
        check(pthread_create(&thread, NULL, fill_many, NULL) == 0, 33);
        pthread_join(thread, NULL);
        check(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0, 34);
        pthread_cancel(thread);
        check(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED, 35);
        thrd_t other;
        int value = 0;
        check(thrd_create(&other, negative, NULL) == thrd_success, 36);
        check(thrd_join(other, &value) == thrd_success && value == -7, 37);
        sem_t *place = NULL;
        check(pthread_create(&thread, NULL, wait_once, &place) == 0, 38);
        while (__atomic_load_n(&place, __ATOMIC_SEQ_CST) == NULL)
            sched_yield();
        sem_post(place);
        pthread_join(thread, NULL);
        check(pthread_create(&thread, NULL, nothing, NULL) == 0, 39);
        usleep(2000);
        check(pthread_kill(thread, 0) == 0 || true, 40); /* not joined yet */
        if (i % 2 == 0)
            check(pthread_detach(thread) == 0, 41); /* after its end */
        else
            while (pthread_tryjoin_np(thread, &result) == EBUSY)
                sched_yield();
    }
}

static pthread_mutex_t robust;

static void *die_with_it(void *unused)
{
    pthread_mutex_lock(&robust);
    return unused;
}

static void robust_mutex(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    for (int i = 0; i < 3; i++) {
        check(pthread_create(&thread, NULL, die_with_it, NULL) == 0, 50);
        pthread_join(thread, NULL);
        check(pthread_mutex_lock(&robust) == EOWNERDEAD, 51);
        pthread_mutex_consistent(&robust);
        pthread_mutex_unlock(&robust);
    }
}

static volatile int *volatile beside;

static void *keep_beside(void *unused)
{
    volatile int own = 5;
    beside = &own;
    while (!case_stopped())
        usleep(1000);
    return unused;
}

static void *fork_there(void *unused)
{
    volatile int own = 6;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        check(own == 6 && *beside == 5, 60); /* of a thread that the child does not have */
        for (int i = 0; i < 40; i++) {
            check(pthread_create(&thread, NULL, nothing, NULL) == 0, 61);
            check(pthread_join(thread, NULL) == 0, 62);
        }
        _exit(0);
    }
    int status = 1;
    check(waitpid(child, &status, 0) == child, 63);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, 64);
    return unused;
}

static void forks(void)
{
    pthread_t beside_thread, thread;
    check(pthread_create(&beside_thread, NULL, keep_beside, NULL) == 0, 65);
    while (beside == NULL)
        sched_yield();
    check(setgid(getgid()) == 0 && setuid(getuid()) == 0, 66); /* told to all threads */
    for (int i = 0; i < 3; i++) {
        check(pthread_create(&thread, NULL, fork_there, NULL) == 0, 67);
        pthread_join(thread, NULL);
    }
    /* The last thread of a process ends it with status 0. */
    pid_t child = fork();
    if (child == 0) {
        check(pthread_create(&thread, NULL, large_frame, NULL) == 0, 68);
        pthread_exit(NULL);
    }
    int status = 1;
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, 69);
    case_tell_stop();
    pthread_join(beside_thread, NULL);
}

static void default_attributes(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 12 << 20);
    pthread_attr_setguardsize(&attributes, 65536);
    check(pthread_setattr_default_np(&attributes) == 0, 70);
    check(pthread_create(&thread, NULL, show, "new default") == 0, 71);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    sizes();
    own_stack();
    deep();
    ends();
    robust_mutex();
    fflush(stdout);
    forks();
    default_attributes();
    return 0;
}
