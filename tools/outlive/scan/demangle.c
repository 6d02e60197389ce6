/* Demangle: names as in the source. Called by the outputs. A name of some hundred bytes can stand
 * for one of many gigabytes, and the demangler then takes all memory and goes on for years: it runs
 * in a process of its own, with limits. */
#include "outlive/scan/scan.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME_MOST 8192
#define ANSWER_MOST ((size_t)65536) /* longer ones are no help to a reader */
#define MEMORY_MOST ((rlim_t)256 << 20)
#define PROCESSES_MOST 3

/* Itanium C++ ABI, 3.4; the C++ library's. */
char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

static int conversation = -1;
static pid_t process;
static unsigned started;

/* One message in, one out. */
static _Noreturn void answer(int messages)
{
    static char name[NAME_MOST + 1];
    const struct rlimit memory = {MEMORY_MOST, MEMORY_MOST}, time = {1, 1}, core = {0, 0};
    (void)setrlimit(RLIMIT_DATA, &memory);
    (void)setrlimit(RLIMIT_CPU, &time);
    (void)setrlimit(RLIMIT_CORE, &core);
    for (;;) {
        int status = -1;
        ssize_t length = recv(messages, name, sizeof name - 1, 0);
        if (length <= 0)
            _exit(0);
        name[length] = '\0';
        char *text = __cxa_demangle(name, NULL, NULL, &status);
        const char *told = status == 0 && text != NULL && strlen(text) < ANSWER_MOST ? text : name;
        if (send(messages, told, strlen(told), MSG_NOSIGNAL) < 0)
            _exit(0);
        free(text);
    }
}

static void stop(void)
{
    close(conversation);
    conversation = -1;
    (void)kill(process, SIGKILL);
    (void)waitpid(process, NULL, 0);
}

static bool start(void)
{
    int ends[2];
    if (started == PROCESSES_MOST ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    started++;
    process = fork();
    if (process == 0) {
        close(ends[0]);
        answer(ends[1]);
    }
    close(ends[1]);
    conversation = ends[0];
    if (process > 0)
        return true;
    close(conversation);
    conversation = -1;
    return false;
}

const char *demangled(const char *name)
{
    static char text[ANSWER_MOST];
    size_t length = strnlen(name, NAME_MOST);
    if (strncmp(name, "_Z", 2) != 0 || length == NAME_MOST || (conversation < 0 && !start()))
        return name;
    ssize_t got = send(conversation, name, length, MSG_NOSIGNAL) < 0
                      ? 0
                      : recv(conversation, text, sizeof text - 1, 0);
    if (got > 0) {
        text[got] = '\0';
        return text;
    }
    stop();
    return name;
}
