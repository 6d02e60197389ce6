/* Exit handler: what the program and its libraries asked to be called at exit or when a library is
 * unloaded (atexit, __cxa_atexit, on_exit), and when each ran. C++ registers the destructors of
 * static objects in this way (Itanium C++ ABI, 3.3.6.3). Records are the shim's own memory and stay
 * where they are; lock-free, since a program's allocator registers under its own lock. Running is
 * told by the thread that runs. Questions are async-signal-safe. */
#ifndef OUTLIVE_REGISTRY_EXIT_HANDLER_H
#define OUTLIVE_REGISTRY_EXIT_HANDLER_H

#include "registry/stack.h"
#include "registry/thread.h"

enum exit_handler_state {
    EXIT_HANDLER_UNUSED,
    EXIT_HANDLER_WAITING,
    EXIT_HANDLER_RUNNING,
    EXIT_HANDLER_ENDED,
    EXIT_HANDLER_LEFT, /* by longjmp, an exception or the like: when is not known */
};

/* What its function is, as far as symbols tell: see static_symbols.h. */
enum exit_function {
    EXIT_FUNCTION_UNKNOWN, /* not asked yet */
    EXIT_FUNCTION_PLAIN,   /* no destructor of an object in static storage */
    EXIT_FUNCTION_ARRAY,   /* made by the compiler, destroys what it is not told: arrays */
    EXIT_FUNCTION_DESTRUCTOR,
    EXIT_FUNCTION_STRIPPED, /* no symbol tells, and the argument lies in its library's data */
};

struct exit_handler {
    _Atomic uint32_t state;
    uint32_t number;
    uintptr_t function;
    uintptr_t argument;
    uintptr_t library; /* the handle of its library: an address in that library's data, or 0 */
    uint32_t stack;    /* of the registration, kept */
    thread_reference registrant;
    uint64_t registered; /* ticks; 0: before the shim's start */
    thread_reference runner;
    uint64_t began, ended;
    uintptr_t slot, address; /* of and in the return slot of the run */
    struct exit_handler *outer;
    uint8_t sort; /* enum exit_function; static_symbols_of() tells it, and then: */
    size_t size;  /* bytes of the object, 0 unknown */
    uint32_t next_unused;
};

/* NULL: no memory. */
struct exit_handler *exit_handler_new(uintptr_t function, uintptr_t argument, uintptr_t library);
/* For another one; where the registration failed, or its library is gone. */
void exit_handler_drop(struct exit_handler *handler);

/* caller: of the function that libc calls in its place. */
void exit_handler_begin(struct exit_handler *handler, struct caller caller);
void exit_handler_end(struct exit_handler *handler);

/* Numbers below the count, dropped ones in state EXIT_HANDLER_UNUSED. */
uint32_t exit_handler_count(void);
struct exit_handler *exit_handler_of_number(uint32_t number);

/* The innermost handler that the thread was in at that time, or NULL. */
const struct exit_handler *exit_handler_at(thread_reference thread, uint64_t ticks);
/* Another handler waits or runs that has the same object. */
bool exit_handler_has_twin(const struct exit_handler *handler);
/* When the last one was registered. */
uint64_t exit_handler_last_registration(void);

#endif
