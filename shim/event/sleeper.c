/* Sleeper: see sleeper.h. */
#include "event/sleeper.h"

#include "base/probe.h"
#include "base/system.h"
#include "base/text.h"
#include "event/event.h"
#include "registry/task_state.h"

#include <fcntl.h>

size_t sleeper_read(pid_t tid, const char *file, char *buffer, size_t size)
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
enum asked sleeper_system_call(pid_t tid, uint64_t *number, uint64_t *first)
{
    char line[256];
    if (!task_sleeps(tid))
        return ASKED_RUNS;
    if (sleeper_read(tid, "syscall", line, sizeof line) == 0)
        return ASKED_IN_VAIN;
    const char *at = line;
    if (*at < '0' || *at > '9')
        return ASKED_RUNS;
    *number = read_number(&at, 10);
    if (!text_begins(at, " 0x"))
        return ASKED_RUNS;
    at += 3;
    *first = read_number(&at, 16);
    return ASKED_SLEEPS;
}

bool event_waits_in_object(pid_t tid, struct stack *stack)
{
    uint64_t number, word;
    stack->count = 0;
    if (sleeper_system_call(tid, &number, &word) != ASKED_SLEEPS || number != SYS_futex ||
        !arena_contains((const void *)(uintptr_t)word))
        return false;
    const struct thread *thread = thread_of_tid(tid);
    const struct thread_touch *touch = NULL; /* the latest: others were left by a longjmp */
    for (size_t i = 0; thread != NULL && i < THREAD_TOUCHES; i++)
        if (thread->touches[i].inside && (touch == NULL || thread->touches[i].ticks > touch->ticks))
            touch = &thread->touches[i];
    if (touch == NULL)
        return true;
    uint64_t ticks = touch->ticks;
    struct caller caller = {touch->caller, touch->slot};
    if (!probe_word((const void *)caller.slot, &word) || word != caller.address)
        return true;
    stack_capture_waiting(stack, caller);
    if (!touch->inside || touch->ticks != ticks)
        stack->count = 0; /* it went on */
    return true;
}
