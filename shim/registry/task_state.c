/* Task state: see task_state.h. */
#include "registry/task_state.h"

#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>

bool task_sleeps(pid_t tid)
{
    char path[64], line[128];
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/task/%d/stat", tid);
    long descriptor = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    long length = system_read((int)descriptor, line, sizeof line);
    (void)system_close((int)descriptor);
    /* The state comes after the name, which may hold anything. */
    while (length > 0 && line[length - 1] != ')')
        length--;
    return length > 0 && length + 1 < (long)sizeof line && line[length] == ' ' &&
           (line[length + 1] == 'S' || line[length + 1] == 'D');
}
