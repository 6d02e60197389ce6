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

static size_t read_file(pid_t tid, const char *file, char *buffer, size_t size)
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

/* `syscall` also tells the call of a thread that was just woken and has no processor yet
 * (TASK_WAKING): its state is R by then. The state comes after the name, which may hold anything.
 */
bool task_is_asleep(pid_t tid)
{
    char line[128];
    size_t length = read_file(tid, "stat", line, sizeof line);
    while (length > 0 && line[length - 1] != ')')
        length--;
    return length > 0 && line[length] == ' ' &&
           (line[length + 1] == 'S' || line[length + 1] == 'D');
}

/* 'NUMBER 0xARGUMENT ...', 'running', or '-1 ...' where it sleeps in no call. */
enum task_state task_state(pid_t tid, struct task_call *call)
{
    char line[256];
    bool asleep =
        task_is_asleep(tid); /* first: what follows is then the same sleep, or a later one */
    if (read_file(tid, "syscall", line, sizeof line) == 0)
        return TASK_UNKNOWN;
    const char *at = line;
    if (!asleep || *at < '0' || *at > '9')
        return TASK_RUNS;
    call->number = (long)read_number(&at, 10);
    if (!text_begins(at, " 0x"))
        return TASK_RUNS;
    at += 3;
    call->first = read_number(&at, 16);
    return TASK_SLEEPS;
}

bool task_is_alive(pid_t tid)
{
    return system_call3(SYS_tgkill, system_process(), tid, 0) != -ESRCH;
}
