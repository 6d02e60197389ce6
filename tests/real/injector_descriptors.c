/* Injector of descriptors: chooses one of the live descriptors that the process itself has opened,
 * closes it through the shim's close(), and swallows the program's own close of it. See injector.h.
 *
 * The oracle sees the program's calls with the number before and after the shim does, and writes
 * them down; the kernel tells it which threads waited in one while the number was closed. When the
 * program has closed the number itself, or got it anew, it is not looked at any more. No candidates
 * are: what fork left (the shim does not watch it either), the standard streams, what a FILE or DIR
 * holds.
 *
 * The result:
 *   descriptor NUMBER CALL CANDIDATES     frame MODULE+OFFSET SYMBOL (of the birth)
 *   waits TID CALL uses|asks NAME         it waited in the call, before the close and still after
 *   entered TID CALL uses|asks NAME       it was in the call, or came into it, meanwhile
 *   calls TID CALL uses|asks NAME         a call after the close
 *   answers TID CALL RESULT:ERRNO NAME    what came back
 *   closed                                the injected close is done
 *   swallowed|renewed TID CALL - NAME     the program's own close; its number was given out again
 */
#include "injector_descriptors.def"
#include "injector.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define FRAMES 12
#define NONE (-1)
#define POLLED_MOST 4096
#define LINES_MOST 40 /* of a thread: a loop may call again and again */

enum state { DESCRIPTOR_NONE, DESCRIPTOR_LIVE, DESCRIPTOR_CLOSED, DESCRIPTOR_INJECTED };

struct descriptor {
    _Atomic int state;
    const char *made;
    dev_t device;
    ino_t file;
    void *frames[FRAMES];
    int frame_count;
};

enum stage {
    STAGE_BEFORE,
    STAGE_CLOSING,
    STAGE_CLOSED,
    STAGE_OVER, /* what the program does with the number is its own affair again */
};

static struct descriptor *descriptors;
static __thread bool inside __attribute__((tls_model("initial-exec")));
static bool
    unseen; /* INJECT_UNSEEN: the shim learns nothing of the close, to see the measure fail */

static _Atomic int stage;
static int injected = NONE;

static bool is_injected(int number)
{
    int now = atomic_load(&stage);
    return (now == STAGE_CLOSING || now == STAGE_CLOSED) && number == injected &&
           injector_is_here();
}

static bool in_range(int number)
{
    return descriptors != NULL && (unsigned)number < DESCRIPTORS;
}

/* ---- births and ends ---- */

static bool identify(int number, struct stat *status)
{
    return syscall(SYS_fstat, number, status) == 0;
}

static void born(int number, const char *call)
{
    if (!in_range(number) || inside || !injector_is_here())
        return;
    int saved = errno;
    struct descriptor *descriptor = &descriptors[number];
    struct stat status = {0};
    if (is_injected(number)) {
        atomic_store(&stage, STAGE_OVER);
        write_touch("renewed", call, "-");
    }
    (void)identify(number, &status);
    descriptor->made = call;
    descriptor->device = status.st_dev;
    descriptor->file = status.st_ino;
    inside = true;
    descriptor->frame_count = backtrace(descriptor->frames, FRAMES);
    inside = false;
    atomic_store(&descriptor->state, DESCRIPTOR_LIVE);
    errno = saved;
}

/* Whether the program's close is to be swallowed; else the number is no candidate any more. */
static bool ends(int number, const char *call)
{
    if (!in_range(number) || !injector_is_here())
        return false;
    struct descriptor *descriptor = &descriptors[number];
    int live = DESCRIPTOR_LIVE;
    if (atomic_compare_exchange_strong(&descriptor->state, &live, DESCRIPTOR_CLOSED) ||
        live != DESCRIPTOR_INJECTED)
        return false;
    atomic_store(&descriptor->state, DESCRIPTOR_CLOSED);
    atomic_store(&stage, STAGE_OVER);
    write_touch("swallowed", call, "-");
    return true;
}

/* A stream owns it from now on. */
static void forget(int number)
{
    int live = DESCRIPTOR_LIVE;
    if (in_range(number))
        (void)atomic_compare_exchange_strong(&descriptors[number].state, &live, DESCRIPTOR_NONE);
}

/* ---- calls under way ---- */

enum taken { TAKES_NUMBERS, TAKES_POLLED, TAKES_SETS };

/* What each thread is in: its number may be closed meanwhile. */
static struct under_way {
    _Atomic(const char *) call;
    _Atomic unsigned long count; /* of its calls */
    pid_t thread;
    char name[17];
    enum taken taken;
    bool asks;
    long arguments[6];
    int numbers[2];
} under_way[1024];
static _Atomic size_t under_way_count;

static struct under_way *note_call(const char *call, enum taken taken, const int *numbers,
                                   bool asks, const long *arguments)
{
    static __thread size_t slot __attribute__((tls_model("initial-exec")));
    if (slot == 0)
        slot = atomic_fetch_add(&under_way_count, 1) % 1024 + 1;
    struct under_way *own = &under_way[slot - 1];
    own->thread = (pid_t)syscall(SYS_gettid);
    (void)syscall(SYS_prctl, PR_GET_NAME, own->name, 0, 0, 0);
    own->taken = taken;
    own->asks = asks;
    memcpy(own->numbers, numbers, sizeof own->numbers);
    memcpy(own->arguments, arguments, sizeof own->arguments);
    atomic_fetch_add(&own->count, 1);
    atomic_store(&own->call, call);
    return own;
}

/* The memory of a thread that may have gone on. */
static bool copy(void *to, long from, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)from, size};
    return syscall(SYS_process_vm_readv, getpid(), &local, 1UL, &remote, 1UL, 0UL) == (long)size;
}

static bool is_polled(int number, long array, long count)
{
    struct pollfd watched;
    for (long i = 0; i < count && i < POLLED_MOST; i++)
        if (!copy(&watched, array + i * (long)sizeof watched, sizeof watched))
            return false;
        else if (watched.fd == number)
            return true;
    return false;
}

static bool is_in_set(int number, const long *arguments)
{
    unsigned long word;
    for (int i = 1; i < 4 && number < (int)arguments[0]; i++)
        if (arguments[i] != 0 &&
            copy(&word, arguments[i] + number / 64 * (long)sizeof word, sizeof word) &&
            (word >> number % 64 & 1) != 0)
            return true;
    return false;
}

static bool takes(enum taken taken, const int *numbers, const long *arguments, int number)
{
    switch (taken) {
    case TAKES_POLLED:
        return is_polled(number, arguments[0], arguments[1]);
    case TAKES_SETS:
        return is_in_set(number, arguments);
    default:
        return numbers[0] == number || numbers[1] == number;
    }
}

static bool may_write(void)
{
    static __thread int lines __attribute__((tls_model("initial-exec")));
    return lines++ < LINES_MOST;
}

static void write_answer(const char *call, long answer, int error)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%ld:%d", answer, error);
    write_touch("answers", call, text);
}

/* POLLNVAL is EBADF in another form. */
static int error_of_polled(const long *arguments)
{
    const struct pollfd *watched = (const struct pollfd *)arguments[0];
    for (long i = 0; i < arguments[1]; i++)
        if (watched[i].fd == injected && (watched[i].revents & POLLNVAL) != 0)
            return EBADF;
    return 0;
}

static long enter(any_call function, const char *call, enum taken taken, const int *numbers,
                  bool asks, const long *arguments)
{
    int now = atomic_load(&stage);
    struct under_way *own = NULL;
    bool known = (now == STAGE_CLOSING || now == STAGE_CLOSED) &&
                 takes(taken, numbers, arguments, injected) && injector_is_here();
    bool writes = known && may_write();
    int saved = errno;
    if (writes)
        write_touch(now == STAGE_CLOSED ? "calls" : "entered", call, asks ? "asks" : "uses");
    if (!known)
        own = note_call(call, taken, numbers, asks, arguments);
    errno = saved;
    long answer = function(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                           arguments[5]);
    if (own != NULL)
        atomic_store(&own->call, NULL);
    if (!writes && (known || now != STAGE_BEFORE || atomic_load(&stage) == STAGE_BEFORE))
        return answer;
    saved = errno;
    int error = (int)answer == -1 ? saved : taken == TAKES_POLLED ? error_of_polled(arguments) : 0;
    if (writes || (takes(taken, numbers, arguments, injected) && injector_is_here()))
        write_answer(call, (int)answer == -1 ? -1 : answer, error);
    errno = saved;
    return answer;
}

/* ---- what the program calls instead ---- */

#define ONLY_ASKS(command) ((command) == F_GETFD || (command) == F_GETFL || (command) == F_SETFD)

#define NUMBER_USING(name, first, second, asks) NUMBER_##name,
#define NUMBER_OF(name, number) NUMBER_##name,
#define NUMBER(name) NUMBER_##name,
enum {
    NUMBER_close,
    USING(NUMBER_USING) MAKING(NUMBER_OF) PAIRING(NUMBER_OF) WAITING(NUMBER_OF) OTHERS(NUMBER) CALLS
};

any_call next[CALLS];
const size_t call_count = CALLS;

#define PARAMETERS long a, long b, long c, long d, long e, long f
#define ENTER(name, taken, first, second, asks)                                                    \
    enter(next[NUMBER_##name], #name, taken, (const int[]){(int)(first), (int)(second)}, asks,     \
          (const long[]){a, b, c, d, e, f})

#define CALL_USING(name, first, second, asks)                                                      \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        return ENTER(name, TAKES_NUMBERS, first, second, asks);                                    \
    }
USING(CALL_USING)

#define CALL_MAKING(name, first)                                                                   \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        long made = ENTER(name, TAKES_NUMBERS, first, NONE, false);                                \
        born((int)made, #name);                                                                    \
        return made;                                                                               \
    }
MAKING(CALL_MAKING)

#define CALL_PAIRING(name, where)                                                                  \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        long answer = ENTER(name, TAKES_NUMBERS, NONE, NONE, false);                               \
        if ((int)answer == 0) {                                                                    \
            born(((int *)where)[0], #name);                                                        \
            born(((int *)where)[1], #name);                                                        \
        }                                                                                          \
        return answer;                                                                             \
    }
PAIRING(CALL_PAIRING)

#define CALL_WAITING(name, taken)                                                                  \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        return ENTER(name, taken, NONE, NONE, true);                                               \
    }
WAITING(CALL_WAITING)

#define CALL_FCNTL(name)                                                                           \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        long answer = ENTER(name, TAKES_NUMBERS, a, NONE, ONLY_ASKS((int)b));                      \
        if ((int)b == F_DUPFD || (int)b == F_DUPFD_CLOEXEC)                                        \
            born((int)answer, #name);                                                              \
        return answer;                                                                             \
    }
CALL_FCNTL(fcntl)
CALL_FCNTL(fcntl64)

#define CALL_REPLACING(name)                                                                       \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        long answer = ENTER(name, TAKES_NUMBERS, a, NONE, false);                                  \
        if ((int)a != (int)b)                                                                      \
            born((int)answer, #name);                                                              \
        return answer;                                                                             \
    }
CALL_REPLACING(dup2)
CALL_REPLACING(dup3)

#define CALL_OWNING(name)                                                                          \
    static long my_##name(PARAMETERS)                                                              \
    {                                                                                              \
        forget((int)a);                                                                            \
        return ENTER(name, TAKES_NUMBERS, a, NONE, false);                                         \
    }
CALL_OWNING(fdopen)
CALL_OWNING(fdopendir)

static long my_close(long number)
{
    return ends((int)number, "close") ? 0 : next[NUMBER_close](number, 0, 0, 0, 0, 0);
}

static long my_close_range(long first, long last, long flags)
{
    for (unsigned i = (unsigned)first; i <= (unsigned)last && i < DESCRIPTORS && flags == 0; i++)
        (void)ends((int)i, "close_range");
    return next[NUMBER_close_range](first, last, flags, 0, 0, 0);
}

static long my_closefrom(long first)
{
    for (int i = (int)first < 0 ? 0 : (int)first; i < DESCRIPTORS; i++)
        (void)ends(i, "closefrom");
    return next[NUMBER_closefrom](first, 0, 0, 0, 0, 0);
}

#define ROW_USING(name, first, second, asks) ROW(name)
#define ROW_OF(name, number) ROW(name)
#define ROW(name) [NUMBER_##name] = {#name, (uintptr_t)&my_##name},
const struct call calls[] = {ROW(close) USING(ROW_USING) MAKING(ROW_OF) PAIRING(ROW_OF)
                                 WAITING(ROW_OF) OTHERS(ROW)};

/* ---- the injection ---- */

/* The end that the shim must name. */
__attribute__((noinline, visibility("default"))) void injected_close(int number);
void injected_close(int number)
{
    if (unseen)
        (void)syscall(SYS_close, number);
    else
        (void)next[NUMBER_close](number, 0, 0, 0, 0, 0);
    __asm__ volatile(""); /* no tail call: its frame is to be on the stack */
}

/* Those that are what they were when they were opened: the program may close unseen, too. */
static struct descriptor *choose(unsigned long seed)
{
    static int candidates[DESCRIPTORS];
    size_t count = 0;
    for (int i = STDERR_FILENO + 1; i < DESCRIPTORS; i++) {
        const struct descriptor *descriptor = &descriptors[i];
        struct stat status;
        if (atomic_load(&descriptor->state) == DESCRIPTOR_LIVE && identify(i, &status) &&
            status.st_dev == descriptor->device && status.st_ino == descriptor->file)
            candidates[count++] = i;
    }
    for (size_t tries = 0; tries < count; tries++) {
        int number = candidates[(choose_index(seed, count) + tries) % count];
        struct descriptor *descriptor = &descriptors[number];
        int live = DESCRIPTOR_LIVE;
        injected = number;
        if (!atomic_compare_exchange_strong(&descriptor->state, &live, DESCRIPTOR_INJECTED))
            continue; /* the program was faster */
        atomic_store(&stage, STAGE_CLOSING);
        char line[128];
        write_line(line, snprintf(line, sizeof line, "descriptor %d %s %zu\n", number,
                                  descriptor->made, count));
        return descriptor;
    }
    return NULL;
}

/* A thread that is in a call with the number, and what the kernel says of it (proc(5)). */
struct waiter {
    const struct under_way *of;
    const char *call;
    unsigned long count;
    bool sleeps;
};

static bool sleeps(pid_t thread)
{
    char path[64], line[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    long length = syscall(SYS_read, file, line, sizeof line);
    (void)syscall(SYS_close, file);
    return length > 0 && line[0] >= '0' && line[0] <= '9';
}

static bool look(const struct under_way *of, struct waiter *waiter)
{
    waiter->of = of;
    waiter->count = atomic_load(&of->count);
    waiter->call = atomic_load(&of->call);
    if (waiter->call == NULL || !takes(of->taken, of->numbers, of->arguments, injected))
        return false;
    waiter->sleeps = sleeps(of->thread);
    return atomic_load(&of->count) == waiter->count && atomic_load(&of->call) != NULL;
}

static void write_waiter(const struct waiter *before)
{
    struct waiter after;
    bool waits =
        before->sleeps && look(before->of, &after) && after.sleeps && after.count == before->count;
    char line[128];
    write_line(line, snprintf(line, sizeof line, "%s %d %s %s %s\n", waits ? "waits" : "entered",
                              before->of->thread, before->call, before->of->asks ? "asks" : "uses",
                              before->of->name));
}

void object_inject(unsigned long seed)
{
    static struct waiter waiters[1024];
    size_t count = 0;
    send_sign(); /* the first sign of the shutdown, and at once: */
    struct descriptor *descriptor = choose(seed);
    if (descriptor == NULL) {
        write_line("none\n", 5);
        return;
    }
    for (size_t i = 0; i < 1024; i++)
        count += look(&under_way[i], &waiters[count]);
    injected_close(injected);
    int closing = STAGE_CLOSING;
    (void)atomic_compare_exchange_strong(&stage, &closing, STAGE_CLOSED);
    for (size_t i = 0; i < count; i++)
        write_waiter(&waiters[i]);
    write_line("closed\n", 7);
    write_frames(descriptor->frames, 2, descriptor->frame_count); /* without born(), the wrapper */
}

bool object_start(void)
{
    unseen = getenv("INJECT_UNSEEN") != NULL;
    descriptors = injector_map(DESCRIPTORS * sizeof *descriptors);
    return descriptors != NULL;
}

bool object_is_injected(void)
{
    return atomic_load(&stage) != STAGE_BEFORE;
}

/* What the child has is its parent's. */
void object_forked(void)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (atomic_load(&descriptors[i].state) != DESCRIPTOR_NONE)
            atomic_store(&descriptors[i].state, DESCRIPTOR_NONE);
    for (size_t i = 0; i < 1024; i++)
        atomic_store(&under_way[i].call, NULL);
}
