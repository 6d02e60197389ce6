/* Descriptor users: who is inside a call on a descriptor that is about to be closed. A thread's own
 * record may have been left behind by a cancellation or a longjmp, so the kernel is asked, too:
 * what it says stops no thread, as a signal would (proc(5), /proc/pid/task/tid/syscall). */
#include "event/descriptor_internal.h"

#include "base/probe.h"
#include "base/system.h"
#include "base/text.h"
#include "registry/task.h"

#include <sys/syscall.h>

#define POLLED_MOST 65536

/* struct pollfd begins with the number (poll(2)). */
static bool polls(const struct thread_call *call, int number)
{
    uint64_t word, count = call->count < POLLED_MOST ? call->count : POLLED_MOST;
    for (uint64_t i = 0; i < count; i++) {
        if (!probe_word((const char *)call->sets[0] + i * sizeof word, &word))
            return false;
        if ((int)(uint32_t)word == number)
            return true;
    }
    return false;
}

static bool selects(const struct thread_call *call, int number)
{
    uint64_t word;
    for (int i = 0; i < 3 && (uint64_t)number < call->count; i++)
        if (call->sets[i] != NULL &&
            probe_word((const char *)call->sets[i] + (uint64_t)number / 64 * sizeof word, &word) &&
            (word >> (uint64_t)number % 64 & 1) != 0)
            return true;
    return false;
}

static bool is_poll(const struct thread_call *call)
{
    return text_find(call->function, "poll") != NULL;
}

static bool is_on(const struct thread_call *call, int number, uint64_t word)
{
    if (call->number == (uint32_t)number + 1)
        return call->generation == descriptor_generation(word);
    if (call->number != THREAD_CALL_SETS || call->ticks < descriptors[number].now.birth.ticks)
        return false;
    return is_poll(call) ? polls(call, number) : selects(call, number);
}

static bool waits(pid_t tid, const struct thread_call *call, int number)
{
    struct task_call asked;
    uint64_t word;
    switch (task_state(tid, &asked)) {
    case TASK_RUNS:
        return false;
    case TASK_SLEEPS:
        if (call->number != THREAD_CALL_SETS)
            return asked.arguments[0] == (uint64_t)number;
        return asked.number == SYS_poll || asked.number == SYS_ppoll ||
               asked.number == SYS_select || asked.number == SYS_pselect6;
    default:
        /* A process that changed its user may not read that: it sleeps, and the call is on its
         * stack. */
        return task_is_asleep(tid) && probe_word((const void *)call->slot, &word) &&
               word == call->address;
    }
}

static bool ask(struct thread_block *block, int number, uint64_t word, struct touch *touch)
{
    struct thread_call call = block->call;
    if (call.number == 0 || block == guard.block || !is_on(&call, number, word))
        return false;
    struct thread *thread = thread_of_reference(block->reference);
    if (thread == NULL || thread->state != THREAD_RUNNING || !waits(thread->tid, &call, number))
        return false;
    *touch = (struct touch){.thread = thread, .access = ACCESS_SYSTEM, .function = call.function};
    thread_refresh_name(thread);
    stack_capture_waiting(&touch->stack, (struct caller){call.address, call.slot});
    return block->call.number == call.number && block->call.slot == call.slot;
}

/* Cold descriptors are few: every thread is looked at. Of a hot one its last user is. */
bool descriptor_find_user(int number, uint64_t word, struct touch *touch)
{
    struct thread_block *block;
    if ((word & DESCRIPTOR_SHUT) != 0)
        return false;
    if ((word & DESCRIPTOR_COLD) == 0) {
        thread_reference user =
            atomic_load_explicit(&descriptors[number].user, memory_order_relaxed);
        if (user == 0 || guard.thread == NULL || user == guard.thread->reference)
            return false;
        struct thread *thread = thread_of_reference(user);
        block = thread == NULL ? NULL : thread->block;
        return block != NULL && ask(block, number, word, touch);
    }
    for (uint32_t i = 0; (block = thread_block_of_number(i)) != NULL; i++)
        if (ask(block, number, word, touch))
            return true;
    return false;
}
