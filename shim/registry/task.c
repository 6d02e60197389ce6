/* Task: see task.h. */
#include "registry/task.h"

#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

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

static uintptr_t read_hex(const char *at)
{
    uintptr_t value = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
                                                    : 16;
        if (digit == 16)
            return value;
        value = value << 4 | digit;
    }
}

/* 'NUMBER 0xARGUMENT ... 0xPOINTER 0xADDRESS', '-1 0xPOINTER 0xADDRESS' or 'running'. */
bool task_call_parse(const char *line, struct task_call *call)
{
    size_t count = 0;
    *call = (struct task_call){.number = -1};
    if (*line >= '0' && *line <= '9')
        for (call->number = 0; *line >= '0' && *line <= '9'; line++)
            call->number = call->number * 10 + (*line - '0');
    for (const char *at = text_find(line, " 0x"); at != NULL; at = text_find(at + 1, " 0x")) {
        if (count >= 2 && count < 8)
            call->arguments[count - 2] = call->pointer;
        call->pointer = call->address;
        call->address = read_hex(at + 3);
        count++;
    }
    return call->pointer != 0 && call->address != 0;
}

/* Which argument is the timeout: the manual pages of section 2. Milliseconds, or a pointer. */
bool task_call_has_end(const struct task_call *call)
{
    switch (call->number) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return true;
    case SYS_poll:
        return (int)call->arguments[2] >= 0;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return (int)call->arguments[3] >= 0;
    case SYS_ppoll:
    case SYS_rt_sigtimedwait:
        return call->arguments[2] != 0;
    case SYS_select:
    case SYS_pselect6:
        return call->arguments[4] != 0;
    case SYS_futex:
        return call->arguments[3] != 0;
    default:
        return false;
    }
}

/* False: may not be asked. */
static bool read_call(pid_t tid, struct task_call *call, bool *has_addresses)
{
    char line[256];
    bool known = read_file(tid, "syscall", line, sizeof line) > 0;
    *has_addresses = known && task_call_parse(line, call);
    return known;
}

enum task_state task_state(pid_t tid, struct task_call *call)
{
    bool has_addresses;
    bool asleep =
        task_is_asleep(tid); /* first: what follows is then the same sleep, or a later one */
    if (!read_call(tid, call, &has_addresses))
        return TASK_UNKNOWN;
    return asleep && has_addresses && call->number >= 0 ? TASK_SLEEPS : TASK_RUNS;
}

bool task_is_in_kernel(pid_t tid, struct task_call *call)
{
    bool has_addresses;
    return read_call(tid, call, &has_addresses) && has_addresses;
}

bool task_is_still(pid_t tid, const struct task_call *call)
{
    struct task_call now;
    return task_is_in_kernel(tid, &now) && now.pointer == call->pointer &&
           now.address == call->address;
}

bool task_is_alive(pid_t tid)
{
    return system_call3(SYS_tgkill, system_process(), tid, 0) != -ESRCH;
}
