/* ucontext fibres on stacks from malloc, switched between inside allocating code, in two threads.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define FIBRES 8
#define ROUNDS 200

struct loom {
    ucontext_t home, fibres[FIBRES];
    long sum;
    int alive;
};

static void run(unsigned low, unsigned high, int number)
{
    struct loom *loom = (struct loom *)((unsigned long)high << 32 | low);
    for (int i = 0; i < ROUNDS; i++) {
        char *volatile block = malloc(32 + (size_t)(number * 8));
        memset(block, number, 32);
        (void)swapcontext(&loom->fibres[number], &loom->home);
        loom->sum += block[31];
        free(block);
    }
    loom->alive--;
}

static void *weave(void *argument)
{
    struct loom *loom = calloc(1, sizeof *loom);
    char *stacks[FIBRES];
    unsigned long at = (unsigned long)loom;
    (void)argument;
    for (int i = 0; i < FIBRES; i++) {
        stacks[i] = malloc(65536);
        (void)getcontext(&loom->fibres[i]);
        loom->fibres[i].uc_stack.ss_sp = stacks[i];
        loom->fibres[i].uc_stack.ss_size = 65536;
        loom->fibres[i].uc_link = &loom->home;
        makecontext(&loom->fibres[i], (void (*)(void))run, 3, (unsigned)at, (unsigned)(at >> 32),
                    i);
        loom->alive++;
    }
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < FIBRES; i++)
            (void)swapcontext(&loom->home, &loom->fibres[i]);
    for (int i = 0; i < FIBRES; i++)
        free(stacks[i]);
    long sum = loom->alive == 0 ? loom->sum : -1;
    free(loom);
    return (void *)sum;
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        (void)pthread_create(&threads[i], NULL, weave, NULL);
    for (int i = 0; i < 2; i++) {
        void *sum = NULL;
        (void)pthread_join(threads[i], &sum);
        printf("%ld\n", (long)sum);
    }
    return 0;
}
