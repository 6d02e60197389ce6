/* Own descriptor: see own_descriptor.h. */
#include "base/own_descriptor.h"

#include "base/system.h"

#include <fcntl.h>
#include <sys/resource.h>

#define MOST 8
static int *holders[MOST];
static unsigned holder_count;

void own_descriptor_add(int *number)
{
    for (unsigned i = 0; i < holder_count; i++)
        if (holders[i] == number)
            return;
    if (holder_count < MOST)
        holders[holder_count++] = number;
}

bool own_descriptor_is(int number)
{
    for (unsigned i = 0; i < holder_count; i++)
        if (*holders[i] == number && number >= 0)
            return true;
    return false;
}

int own_descriptor_duplicate(int number)
{
    struct rlimit limit = {0};
    (void)system_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
    long floor = limit.rlim_cur > 4096 ? 4000 : (long)limit.rlim_cur - 16;
    for (; floor > 2; floor /= 2) {
        long moved = system_call3(SYS_fcntl, number, F_DUPFD_CLOEXEC, floor);
        if (moved >= 0)
            return (int)moved;
    }
    return -1;
}

void own_descriptor_yield(int number)
{
    for (unsigned i = 0; i < holder_count; i++)
        if (*holders[i] == number)
            *holders[i] = own_descriptor_duplicate(number);
}
