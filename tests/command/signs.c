/* Begins its shutdown in one of the ways that the shim knows, then fails an assertion: the report
 * must name the sign. Used by check-command: signs handler|sigwait|signalfd|exit|main */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static volatile sig_atomic_t told;
static volatile int clients = 1;

static void on_signal(int number)
{
    told = number;
}

static void clean_up(void)
{
    assert(clients == 0);
}

int main(int count, char **arguments)
{
    const char *way = count > 1 ? arguments[1] : "main";
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (strcmp(way, "handler") == 0) {
        struct sigaction action = {.sa_handler = on_signal}, seen;
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGTERM, NULL, &seen);
        if (seen.sa_handler != on_signal)
            return 4;
        kill(getpid(), SIGTERM);
        assert(told == 0);
    } else if (strcmp(way, "sigwait") == 0) {
        int number;
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGTERM);
        sigwait(&set, &number);
        clean_up();
    } else if (strcmp(way, "signalfd") == 0) {
        struct signalfd_siginfo info;
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        int descriptor = signalfd(-1, &set, 0);
        kill(getpid(), SIGTERM);
        if (read(descriptor, &info, sizeof info) != sizeof info)
            return 5;
        clean_up();
    } else if (strcmp(way, "flood") == 0) { /* frees more than shutdown_memory in its shutdown */
        static char *blocks[20000];
        for (int i = 0; i < 20000; i++)
            blocks[i] = malloc(1000);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGTERM);
        int number;
        sigwait(&set, &number);
        for (int i = 0; i < 20000; i++)
            free(blocks[i]);
        return 0;
    } else if (strcmp(way, "vfork") == 0) { /* the child's handlers are not its parent's */
        struct sigaction action = {.sa_handler = on_signal}, seen;
        sigaction(SIGTERM, &action, NULL);
        if (vfork() == 0) {
            signal(SIGTERM, SIG_DFL);
            _exit(0);
        }
        sigaction(SIGTERM, NULL, &seen);
        kill(getpid(), SIGTERM);
        return seen.sa_handler == on_signal && told == SIGTERM ? 0 : 7;
    } else if (strcmp(way, "daemon") == 0) {
        if (daemon(0, 0) != 0)
            return 6;
        long *object = calloc(4, sizeof *object);
        volatile long *kept = object;
        usleep(300000);
        free(object);
        return (int)kept[1];
    }
    atexit(clean_up);
    if (strcmp(way, "exit") == 0)
        exit(0);
    return 0;
}
