/* SA_ONSTACK handlers of a program that has no signal stack run on the thread's own stack, however
 * much they need; once it has one they run there. The flag is read back as it was set. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *own_stack;
static size_t own_size;
static volatile int in_own, in_thread;
static _Thread_local char *thread_stack;
static _Thread_local size_t thread_size;

static void on_signal(int number)
{
    (void)number;
    char here;
    in_own = own_stack != NULL && &here >= own_stack && &here < own_stack + own_size;
    in_thread = &here >= thread_stack && &here < thread_stack + thread_size;
    if (in_thread) {
        volatile char large[1024 * 1024];
        memset((void *)large, 1, sizeof large);
    }
}

static void tell(const char *name)
{
    printf("%s on the %s stack\n", name, in_own ? "signal" : in_thread ? "thread's" : "wrong");
}

static void *raise_both(void *argument)
{
    pthread_attr_t attributes;
    void *start;
    (void)pthread_getattr_np(pthread_self(), &attributes);
    (void)pthread_attr_getstack(&attributes, &start, &thread_size);
    (void)pthread_attr_destroy(&attributes);
    thread_stack = start;
    (void)raise(SIGUSR1);
    tell("USR1");
    (void)raise(SIGTERM);
    tell("TERM");
    return argument;
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART}, back;
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    pthread_t thread;
    (void)pthread_create(&thread, NULL, raise_both, NULL);
    (void)pthread_join(thread, NULL);
    (void)raise_both(NULL);
    (void)sigaction(SIGUSR1, NULL, &back);
    printf("flag %d", (back.sa_flags & SA_ONSTACK) != 0);
    (void)sigaction(SIGUSR1, &action, &back);
    printf(" %d", (back.sa_flags & SA_ONSTACK) != 0);
    (void)sigaction(SIGTERM, &action, &back);
    printf(" %d\n", (back.sa_flags & SA_ONSTACK) != 0);
    own_size = 64 * 1024;
    own_stack = malloc(own_size);
    stack_t stack = {.ss_sp = own_stack, .ss_size = own_size};
    (void)sigaltstack(&stack, NULL);
    (void)raise_both(NULL);
    return 0;
}
