/* Waiting: see waiting.h. */
#include "registry/waiting.h"

#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>

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
    *waiting = (struct waiting){0};
    for (const char *at = text_find(line, " 0x"); at != NULL; at = text_find(at + 1, " 0x")) {
        waiting->pointer = waiting->address;
        waiting->address = read_hex(at + 3);
    }
    return waiting->pointer != 0 && waiting->address != 0;
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
