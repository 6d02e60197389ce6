/* Waiting: see waiting.h. */
#include "registry/waiting.h"

#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/syscall.h>

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
bool waiting_parse(const char *line, struct waiting *waiting)
{
    size_t count = 0;
    *waiting = (struct waiting){.number = -1};
    if (*line >= '0' && *line <= '9')
        for (waiting->number = 0; *line >= '0' && *line <= '9'; line++)
            waiting->number = waiting->number * 10 + (*line - '0');
    for (const char *at = text_find(line, " 0x"); at != NULL; at = text_find(at + 1, " 0x")) {
        if (count >= 2 && count < 8)
            waiting->arguments[count - 2] = waiting->pointer;
        waiting->pointer = waiting->address;
        waiting->address = read_hex(at + 3);
        count++;
    }
    return waiting->pointer != 0 && waiting->address != 0;
}

/* Which argument is the timeout: the manual pages of section 2. Milliseconds, or a pointer. */
bool waiting_has_end(const struct waiting *waiting)
{
    switch (waiting->number) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return true;
    case SYS_poll:
        return (int)waiting->arguments[2] >= 0;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return (int)waiting->arguments[3] >= 0;
    case SYS_ppoll:
    case SYS_rt_sigtimedwait:
        return waiting->arguments[2] != 0;
    case SYS_select:
    case SYS_pselect6:
        return waiting->arguments[4] != 0;
    case SYS_futex:
        return waiting->arguments[3] != 0;
    default:
        return false;
    }
}

bool waiting_of(pid_t tid, struct waiting *waiting)
{
    char path[64], line[256];
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/task/%d/syscall", tid);
    long descriptor = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    long length = system_read((int)descriptor, line, sizeof line - 1);
    (void)system_close((int)descriptor);
    line[length < 0 ? 0 : length] = '\0';
    return waiting_parse(line, waiting);
}
