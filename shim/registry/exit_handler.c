/* Exit handler: see exit_handler.h. */
#include "registry/exit_handler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/probe.h"

/* Chunk n holds FIRST << n records. */
#define FIRST 64
#define CHUNKS 20

static _Atomic(struct exit_handler *) chunks[CHUNKS];
static _Atomic uint32_t given_out;
/* Dropped records, a list: the low half is number + 1, the high half counts changes. */
static _Atomic uint64_t unused;
static _Atomic uint64_t last_registration;
/* How many handlers that wait or run have an argument with this hash. */
#define ARGUMENTS 16384
static _Atomic uint32_t arguments[ARGUMENTS];

static struct exit_handler *place_of(uint32_t number, bool make)
{
    uint32_t index = 31 - (uint32_t)__builtin_clz(number / FIRST + 1);
    if (index >= CHUNKS)
        return NULL;
    struct exit_handler *chunk = atomic_load(&chunks[index]);
    size_t size = ((size_t)FIRST << index) * sizeof *chunk;
    if (chunk == NULL && make) {
        struct exit_handler *mapped = memory_map(size);
        if (mapped == NULL)
            return NULL;
        if (atomic_compare_exchange_strong(&chunks[index], &chunk, mapped))
            chunk = mapped;
        else
            memory_unmap(mapped, size);
    }
    return chunk == NULL ? NULL : &chunk[number - (((uint32_t)FIRST << index) - FIRST)];
}

static _Atomic uint32_t *with_argument(uintptr_t argument)
{
    return &arguments[argument * UINT64_C(0x9e3779b97f4a7c15) >> 50];
}

static struct exit_handler *take_unused(void)
{
    uint64_t head = atomic_load(&unused);
    while ((uint32_t)head != 0) {
        struct exit_handler *handler = place_of((uint32_t)head - 1, false);
        uint64_t next = ((head >> 32) + 1) << 32 | handler->next_unused;
        if (atomic_compare_exchange_weak(&unused, &head, next))
            return handler;
    }
    return NULL;
}

static struct exit_handler *take_fresh(void)
{
    uint32_t number = atomic_load(&given_out);
    struct exit_handler *handler;
    do
        if ((handler = place_of(number, true)) == NULL)
            return NULL;
    while (!atomic_compare_exchange_weak(&given_out, &number, number + 1));
    handler->number = number;
    return handler;
}

struct exit_handler *exit_handler_new(uintptr_t function, uintptr_t argument, uintptr_t library)
{
    struct exit_handler *handler = take_unused();
    if (handler == NULL && (handler = take_fresh()) == NULL)
        return NULL;
    uint32_t number = handler->number;
    __builtin_memset(handler, 0, sizeof *handler);
    handler->number = number;
    handler->function = function;
    handler->argument = argument;
    handler->library = library;
    if (guard_active) {
        handler->registered = clock_ticks();
        handler->registrant = guard.thread == NULL ? 0 : guard.thread->reference;
        atomic_store(&last_registration, handler->registered);
    }
    atomic_fetch_add(with_argument(argument), 1);
    atomic_store(&handler->state, EXIT_HANDLER_WAITING);
    return handler;
}

void exit_handler_drop(struct exit_handler *handler)
{
    uint64_t head = atomic_load(&unused), next;
    if (atomic_load(&handler->state) == EXIT_HANDLER_WAITING)
        atomic_fetch_sub(with_argument(handler->argument), 1);
    atomic_store(&handler->state, EXIT_HANDLER_UNUSED);
    do {
        handler->next_unused = (uint32_t)head;
        next = ((head >> 32) + 1) << 32 | (handler->number + 1);
    } while (!atomic_compare_exchange_weak(&unused, &head, next));
}

/* Left without an end: the thread is on its stack above where that one was called, or its return
 * address is gone. */
static bool is_gone(const struct exit_handler *handler, struct caller caller)
{
    uint64_t word;
    return handler->slot <= caller.slot || !probe_word((const void *)handler->slot, &word) ||
           word != handler->address;
}

void exit_handler_begin(struct exit_handler *handler, struct caller caller)
{
    struct thread *thread = guard.thread;
    if (thread == NULL)
        return;
    while (thread->exit_handler != NULL && is_gone(thread->exit_handler, caller)) {
        atomic_store(&thread->exit_handler->state, EXIT_HANDLER_LEFT); /* it still counts */
        thread->exit_handler = thread->exit_handler->outer;
    }
    handler->runner = thread->reference;
    handler->slot = caller.slot;
    handler->address = caller.address;
    handler->outer = thread->exit_handler;
    handler->began = clock_ticks();
    thread->exit_handler = handler;
    atomic_store(&handler->state, EXIT_HANDLER_RUNNING);
}

void exit_handler_end(struct exit_handler *handler)
{
    struct thread *thread = guard.thread;
    handler->ended = clock_ticks();
    atomic_fetch_sub(with_argument(handler->argument), 1);
    atomic_store(&handler->state, EXIT_HANDLER_ENDED);
    if (thread != NULL && thread->exit_handler == handler)
        thread->exit_handler = handler->outer;
}

uint32_t exit_handler_count(void)
{
    return atomic_load(&given_out);
}

struct exit_handler *exit_handler_of_number(uint32_t number)
{
    return place_of(number, false);
}

const struct exit_handler *exit_handler_at(thread_reference thread, uint64_t ticks)
{
    const struct exit_handler *found = NULL;
    for (uint32_t number = 0; thread != 0 && number < exit_handler_count(); number++) {
        const struct exit_handler *handler = exit_handler_of_number(number);
        uint32_t state = atomic_load(&handler->state);
        if ((state == EXIT_HANDLER_RUNNING ||
             (state == EXIT_HANDLER_ENDED && handler->ended >= ticks)) &&
            handler->runner == thread && handler->began <= ticks &&
            (found == NULL || handler->began > found->began))
            found = handler;
    }
    return found;
}

bool exit_handler_has_twin(const struct exit_handler *handler)
{
    if (atomic_load(with_argument(handler->argument)) == 0)
        return false;
    for (uint32_t number = 0; number < exit_handler_count(); number++) {
        const struct exit_handler *other = exit_handler_of_number(number);
        uint32_t state = atomic_load(&other->state);
        if (other != handler && other->argument == handler->argument &&
            (state == EXIT_HANDLER_WAITING || state == EXIT_HANDLER_RUNNING))
            return true;
    }
    return false;
}

uint64_t exit_handler_last_registration(void)
{
    return atomic_load(&last_registration);
}
