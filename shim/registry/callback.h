/* Callback: functions that the program has asked to be called later: handlers of signals,
 * destructors of thread-specific data, and what timers call. (What is called at exit is in
 * exit_handler.h.) Only functions that may be unloaded are kept. Written without a lock, each entry
 * by the thread that registers; questions are async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_CALLBACK_H
#define OUTLIVE_REGISTRY_CALLBACK_H

#include "registry/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum callback_sort { CALLBACK_SIGNAL, CALLBACK_KEY, CALLBACK_TIMER, CALLBACK_SORTS };

/* Of what a timer is set to. */
enum timer_state { TIMER_STOPPED, TIMER_ONCE, TIMER_REPEATS };

#define CALLBACK_HOLDERS 8
#define CALLBACKS 1024 /* of each sort: PTHREAD_KEYS_MAX, and more than there are signals */

struct callback {
    _Atomic uintptr_t function; /* 0: none */
    uint32_t stack;             /* of the registration, kept */
    thread_reference thread;    /* that registered it */
    uint64_t ticks;
    /* Of a key: threads that have lately stored a value under it. */
    _Atomic thread_reference holders[CALLBACK_HOLDERS];
    /* Of a timer. */
    _Atomic uintptr_t timer; /* its timer_t */
    _Atomic uint32_t timer_state;
};

/* Some entry of the sort is in use, so that calls that concern it are worth a look. */
extern _Atomic bool callbacks_any[CALLBACK_SORTS] __attribute__((visibility("hidden")));

/* number: of the signal, key, or timer. Function 0 takes the callback back. */
void callback_set(enum callback_sort sort, uint32_t number, uintptr_t function, uint32_t stack);
/* NULL: there is none. */
struct callback *callback_of(enum callback_sort sort, uint32_t number);

/* The calling thread has stored a value under the key, or taken it away. */
void callback_hold(uint32_t key, bool holds);
/* Another thread than the main one, which runs no destructors when the process ends, will have the
 * key's destructor called; or 0. */
thread_reference callback_holder(const struct callback *callback);

void callback_timer_set(uintptr_t timer, enum timer_state state);
void callback_timer_deleted(uintptr_t timer);

#endif
