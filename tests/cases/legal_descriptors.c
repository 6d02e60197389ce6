// Legal things that look like descriptor bugs. Both ways must be silent.
// EXPECT silent
#include "case.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LAST = 300 };

static void check(bool ok, int status)
{
    if (!ok)
        _exit(status);
}

/* Loops that close every number, in the process itself: up, down, and leaving some out. */
static void close_all(void)
{
    int some[6], keep = open("/dev/null", O_RDONLY);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 6; i++)
            some[i] = open("/dev/null", O_RDONLY);
        close(some[1]);
        close(some[4]);
        if (round == 0)
            for (int i = 3; i < LAST; i++)
                close(i);
        else if (round == 1)
            for (int i = LAST; i >= 3; i--)
                close(i);
        else if (round == 2)
            for (int i = 3; i < LAST; i++) {
                if (i != keep && i != some[2])
                    close(i);
            }
        else
            for (int i = 3; i < LAST; i++)
                if (fcntl(i, F_GETFD) != -1)
                    close(i);
    }
    check(write(some[2], "x", 1) == -1 && close(some[3]) == -1, 10); /* as a former owner may */
    for (int i = 3; i < LAST; i++) /* no number is left, nor opened */
        close(i);
    for (int i = 3; i < LAST; i++)
        fcntl(i, F_SETFD, FD_CLOEXEC);
}

static void close_listed(void)
{
    int some[4], listed[64], count = 0;
    for (int i = 0; i < 4; i++)
        some[i] = open("/dev/null", O_RDONLY);
    close(some[1]);
    close(some[2]);
    DIR *list = opendir("/proc/self/fd");
    check(list != NULL, 20);
    for (int i = 0; i < dirfd(list); i++)
        check(fcntl(i, F_GETFD) != -1, 22); /* the list has the lowest free number, as bare */
    for (struct dirent *entry; (entry = readdir(list)) != NULL && count < 64;) {
        int number = atoi(entry->d_name);
        if (number > 2 && number < LAST && number != dirfd(list))
            listed[count++] = number;
    }
    closedir(list);
    for (int i = 0; i < count; i++)
        check(close(listed[i]) == 0, 21);
}

static volatile int handed, taken;

static void *use_handed(void *argument)
{
    for (int i = 0; i < 50; i++) {
        while (__atomic_load_n(&handed, __ATOMIC_SEQ_CST) == 0)
            sched_yield();
        int number = __atomic_exchange_n(&handed, 0, __ATOMIC_SEQ_CST);
        char byte;
        check(read(number, &byte, 1) == 1, 30);
        check(close(number) == 0, 31);
        __atomic_store_n(&taken, i + 1, __ATOMIC_SEQ_CST);
    }
    return argument;
}

/* The same number, opened again and again, and handed to another thread. */
static void hand_over(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, use_handed, NULL);
    for (int i = 0; i < 50; i++) {
        __atomic_store_n(&handed, open("/dev/zero", O_RDONLY), __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) != i + 1)
            sched_yield();
    }
    pthread_join(thread, NULL);
}

static void *write_log(void *argument)
{
    while (!case_stopped()) {
        check(write((int)(intptr_t)argument, "x", 1) == 1, 40);
        case_round();
    }
    return NULL;
}

/* A log file is replaced under its writer. */
static void replace(void)
{
    int number = open("/dev/null", O_WRONLY);
    pthread_t thread;
    pthread_create(&thread, NULL, write_log, (void *)(intptr_t)number);
    for (int i = 0; i < 20; i++) {
        int next = open("/dev/null", O_WRONLY);
        check(dup2(next, number) == number, 41);
        close(next);
        case_await(1);
    }
    case_tell_stop();
    pthread_join(thread, NULL);
    close(number);
    check(dup2(1, number) == number, 42); /* onto a closed number */
    close(number);
}

static void wait_for(pid_t child)
{
    int status = 0;
    check(waitpid(child, &status, 0) == child && status == 0, 50);
}

/* Not by a function, whose return address the child would overwrite (vfork(2)). */
static inline __attribute__((always_inline)) pid_t raw_vfork(void)
{
    long result = SYS_vfork;
    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
    return (pid_t)result;
}

static void children(void)
{
    int number = open("/dev/zero", O_RDONLY), closed = open("/dev/null", O_RDONLY);
    char byte;
    close(closed);
    pid_t child = vfork();
    if (child == 0) {
        close(number);
        close(number);
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    wait_for(child);
    check(read(number, &byte, 1) == 1, 51);
    child = raw_vfork();
    if (child == 0) {
        close(number);
        read(number, &byte, 1);
        syscall(SYS_exit_group, 0);
    }
    wait_for(child);
    check(read(number, &byte, 1) == 1, 56);
    child = fork();
    if (child == 0) {
        for (int i = 3; i < LAST; i++)
            close(i);
        for (int i = 3; i < LAST; i++)
            close(i);
        setsid();
        pid_t daemon = fork();
        if (daemon != 0)
            _exit(daemon < 0);
        for (int i = LAST; i >= 3; i--)
            close(i);
        int first = open("/dev/null", O_RDONLY); /* the lowest number, as ever */
        _exit(first != 3);
    }
    wait_for(child);
    check(read(number, &byte, 1) == 1, 52);
    check(close(number) == 0, 53);
    FILE *pipe = popen("echo from a child", "r");
    char line[64];
    check(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && pclose(pipe) == 0, 54);
    check(system("exit 3") != -1, 55);
}

static int set;
static volatile bool in_set;

static void *wait_for_events(void *argument)
{
    struct epoll_event event;
    in_set = true;
    check(epoll_wait(set, &event, 1, -1) == 1, 60);
    return argument;
}

/* A member of a set is closed from elsewhere: it leaves the set by itself. */
static void epoll_members(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int first = eventfd(0, 0), second = eventfd(0, 0);
    pthread_t thread;
    set = epoll_create1(0);
    check(epoll_ctl(set, EPOLL_CTL_ADD, first, &event) == 0, 61);
    check(epoll_ctl(set, EPOLL_CTL_ADD, second, &event) == 0, 62);
    pthread_create(&thread, NULL, wait_for_events, NULL);
    while (!in_set)
        sched_yield();
    close(first);
    check(epoll_ctl(set, EPOLL_CTL_DEL, first, NULL) == -1 && errno == EBADF, 63);
    uint64_t one = 1;
    check(write(second, &one, sizeof one) == sizeof one, 64);
    pthread_join(thread, NULL);
    close(second);
    close(set);
}

static sem_t cleaning, go_on;
static int cancelled_in[2];

static void clean(void *argument)
{
    (void)argument;
    sem_post(&cleaning);
    while (sem_wait(&go_on) != 0)
        ;
}

static void *read_for_ever(void *argument)
{
    char byte;
    pthread_cleanup_push(clean, argument);
    case_sink = (uintptr_t)read(cancelled_in[0], &byte, 1);
    pthread_cleanup_pop(0);
    return argument;
}

/* A thread that was cancelled in a call has left it, though it lives. */
static void cancelled(void)
{
    pthread_t thread;
    sem_init(&cleaning, 0, 0);
    sem_init(&go_on, 0, 0);
    check(pipe(cancelled_in) == 0, 110);
    pthread_create(&thread, NULL, read_for_ever, NULL);
    pthread_cancel(thread);
    while (sem_wait(&cleaning) != 0)
        ;
    close(cancelled_in[0]);
    sem_post(&go_on);
    pthread_join(thread, NULL);
    close(cancelled_in[1]);
}

static void pass(void)
{
    int ends[2], sent = open("/dev/zero", O_RDONLY);
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, 70);
    char byte = 'x', room[CMSG_SPACE(sizeof sent)] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(part), &sent, sizeof sent);
    check(sendmsg(ends[0], &message, 0) == 1, 71);
    close(sent);
    check(recvmsg(ends[1], &message, 0) == 1, 72);
    memcpy(&sent, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof sent);
    check(read(sent, &byte, 1) == 1 && close(sent) == 0, 73);
    close(ends[0]);
    close(ends[1]);
}

static void streams(void)
{
    FILE *stream = fdopen(open("/dev/null", O_RDWR), "r+");
    check(stream != NULL && fputs("x", stream) >= 0, 80);
    check(dup2(1, fileno(stream)) >= 0, 81); /* it stays open, on another file */
    stream = freopen("/dev/null", "r", stream);
    check(stream != NULL && fclose(stream) == 0, 82);
    stream = tmpfile();
    check(stream != NULL && fclose(stream) == 0, 83);
    DIR *directory = fdopendir(open("/", O_RDONLY | O_DIRECTORY));
    check(directory != NULL && readdir(directory) != NULL && closedir(directory) == 0, 84);
}

/* Closed numbers answer as closed, also where the shim keeps them. */
static void answers(void)
{
    int number = open("/", O_RDONLY | O_DIRECTORY);
    struct stat status;
    struct pollfd watched = {number, POLLIN, 0};
    close(number);
    check(fcntl(number, F_GETFD) == -1 && errno == EBADF, 90);
    check(fstat(number, &status) == -1 && errno == EBADF, 91);
    check(isatty(number) == 0 && errno == EBADF, 92);
    check(poll(&watched, 1, 0) == 1 && watched.revents == POLLNVAL, 93);
    for (int i = 0; i < 1000; i++) { /* the fourth of the busy ones gets the number of the third */
        int first = open("/dev/null", O_RDONLY);
        close(first);
    }
}

/* All descriptors in use: none is missing for the closed ones. */
static void scarce(void)
{
    struct rlimit before, few = {64, 64};
    getrlimit(RLIMIT_NOFILE, &before);
    few.rlim_max = before.rlim_max;
    for (int i = 0; i < 7; i++) {
        int ends[2];
        check(pipe(ends) == 0, 100);
        close(ends[0]);
        close(ends[1]);
    }
    setrlimit(RLIMIT_NOFILE, &few);
    int opened = 0, last = -1;
    for (int number; (number = open("/dev/null", O_RDONLY)) >= 0; opened++)
        last = number;
    check(errno == EMFILE, 101);
    printf("%d descriptors\n", opened); /* as many as ever */
    for (int number = last; number > last - 20; number--)
        close(number);
    FILE *stream = fopen("/dev/null", "r");
    check(stream != NULL && fclose(stream) == 0, 102);
    setrlimit(RLIMIT_NOFILE, &before);
}

/* The kernel does not look at a number that the call does not need. */
static void numbers_not_needed(void)
{
    struct stat status;
    const char *volatile none = NULL;
    int closed = open("/dev/null", O_RDONLY);
    close(closed);
    check(fstatat(closed, "", &status, 0) == -1 && errno == ENOENT, 120);
    check(fstatat(closed, "/dev/null", &status, 0) == 0, 121);
    check(openat(closed, "", O_RDONLY) == -1 && errno == ENOENT, 122);
    check(mkdirat(closed, none, 0700) == -1 && errno == EFAULT, 123);
    check(utimensat(closed, none, NULL, 0) == -1 && errno == EINVAL, 124);
    check(linkat(closed, "/dev/null", 1, "/no/such/place", 0) == -1 && errno != EBADF, 125);
    int full = openat(closed, "/dev/null", O_RDONLY);
    check(full >= 0 && close(full) == 0, 126);
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    hand_over();
    replace();
    children();
    epoll_members();
    cancelled();
    pass();
    streams();
    answers();
    numbers_not_needed();
    close_listed();
    scarce();
    close_all();
    return 0;
}
