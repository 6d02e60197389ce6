/* What all cases share. A case is one program with a lifetime mistake (argument `bug`) and its
 * silent twin (`twin`), the same program done right. Its EXPECT comment is checked by run-case. No
 * case relies on time: after the destruction the program waits until the late thread has come round
 * again, counted outside of any object. */
#ifndef OUTLIVE_TESTS_CASE_H
#define OUTLIVE_TESTS_CASE_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

/* Rounds of the late thread, and its orders. Never destroyed, never in an object. */
static volatile unsigned case_rounds;
static volatile bool case_stop;
static volatile bool case_hold, case_held;
static volatile uintptr_t case_sink; /* keeps reads from being optimised away */

static inline bool case_is_bug(int count, char **arguments)
{
    if (count != 2 || (strcmp(arguments[1], "bug") != 0 && strcmp(arguments[1], "twin") != 0)) {
        fprintf(stderr, "usage: %s bug|twin\n", arguments[0]);
        exit(2);
    }
    pthread_setname_np(pthread_self(), "main");
    return strcmp(arguments[1], "bug") == 0;
}

/* Stores into it happen, and reads of what was never stored are reads: no compiler sees through. */
#define case_hide(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

static inline void case_round(void)
{
    __atomic_fetch_add(&case_rounds, 1, __ATOMIC_SEQ_CST);
    sched_yield();
    if (case_hold) {
        case_held = true;
        while (case_hold)
            sched_yield();
        case_held = false;
    }
}

/* The late thread stands still between two rounds, not within its touch: that would be another
 * kind. */
static inline void case_hold_between(void)
{
    case_hold = true;
    while (!case_held)
        sched_yield();
}

static inline void case_go_on(void)
{
    case_hold = false;
}

static inline bool case_stopped(void)
{
    return __atomic_load_n(&case_stop, __ATOMIC_SEQ_CST);
}

static inline void case_tell_stop(void)
{
    __atomic_store_n(&case_stop, true, __ATOMIC_SEQ_CST);
}

/* Until the late thread has done that many more rounds; at most ten seconds. */
static inline unsigned case_rounds_now(void)
{
    return __atomic_load_n(&case_rounds, __ATOMIC_SEQ_CST);
}

static inline void case_await_from(unsigned start, unsigned more)
{
    time_t end = time(NULL) + 10;
    while (case_rounds_now() - start < more && time(NULL) < end)
        sched_yield();
}

static inline void case_await(unsigned more)
{
    case_await_from(case_rounds_now(), more);
}

static inline void case_name(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

#endif
