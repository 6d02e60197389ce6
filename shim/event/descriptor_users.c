/* Descriptor users: who is inside a call on a descriptor that is about to be closed. A thread's own
 * record may have been left behind by a cancellation or a longjmp, so the kernel is asked, too:
 * what it says stops no thread, as a signal would (proc(5), /proc/pid/task/tid/syscall). */
#include "event/descriptor_internal.h"

#include "base/probe.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>

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

static size_t read_of_thread(pid_t tid, const char *file, char *buffer, size_t size)
{
    char path[64];
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/task/%d/%s", tid, file);
    long descriptor = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return 0;
    long length = system_read((int)descriptor, buffer, size - 1);
    (void)system_close((int)descriptor);
    buffer[length < 0 ? 0 : length] = '\0';
    return length < 0 ? 0 : (size_t)length;
}

static uint64_t read_number(const char **at, uint64_t base)
{
    uint64_t value = 0;
    for (;; (*at)++) {
        uint64_t digit = **at >= '0' && **at <= '9'   ? (uint64_t)(**at - '0')
                         : **at >= 'a' && **at <= 'f' ? (uint64_t)(**at - 'a' + 10)
                                                      : 16;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

/* 'NUMBER 0xARGUMENT ...', or 'running'. */
static bool waits(pid_t tid, const struct thread_call *call, int number)
{
    char line[256];
    if (read_of_thread(tid, "syscall", line, sizeof line) > 0) {
        const char *at = line;
        if (*at < '0' || *at > '9')
            return false;
        uint64_t system_call = read_number(&at, 10);
        if (text_find(at, " 0x") != at)
            return false;
        at += 3;
        uint64_t first = read_number(&at, 16);
        if (call->number != THREAD_CALL_SETS)
            return first == (uint64_t)number;
        return system_call == SYS_poll || system_call == SYS_ppoll || system_call == SYS_select ||
               system_call == SYS_pselect6;
    }
    /* A process that changed its user may not read that: it sleeps, and the call is on its stack.
     */
    uint64_t word;
    if (read_of_thread(tid, "stat", line, sizeof line) == 0)
        return false;
    const char *state = line;
    for (const char *at = line; *at != '\0'; at++)
        if (at[0] == ')')
            state = at;
    return text_find(state, ") S ") == state && probe_word((const void *)call->slot, &word) &&
           word == call->address;
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
