/* Task: see task.h. */
#include "registry/task.h"

#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>

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

/* 'NUMBER 0xARGUMENT ...', 'running', or '-1 ...' where it sleeps in no call. */
enum task_state task_state(pid_t tid, struct task_call *call)
{
    char path[64], line[256];
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/task/%d/syscall", tid);
    long descriptor = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return TASK_UNKNOWN;
    long length = system_read((int)descriptor, line, sizeof line - 1);
    (void)system_close((int)descriptor);
    if (length <= 0)
        return TASK_UNKNOWN;
    line[length] = '\0';
    const char *at = line;
    if (*at < '0' || *at > '9')
        return TASK_RUNS;
    call->number = (long)read_number(&at, 10);
    if (text_find(at, " 0x") != at)
        return TASK_RUNS;
    at += 3;
    call->first = read_number(&at, 16);
    return TASK_SLEEPS;
}

bool task_is_alive(pid_t tid)
{
    return system_call3(SYS_tgkill, system_process(), tid, 0) != -ESRCH;
}
