/* Descriptor hooks: the shim's own descriptors survive a program that closes all of them, give way
 * to one that wants their number, and reports follow a program that redirects standard error. */
#include "capture/real.h"
#include "capture/signals.h"

#include "base/output.h"
#include "base/own_descriptor.h"
#include "registry/guard.h"

#include <errno.h>
#include <limits.h>

EXPORT int close(int descriptor)
{
    real_need();
    if (guard_active && __builtin_expect(own_descriptor_is(descriptor), 0)) {
        errno = EBADF; /* as far as the program is concerned it is not open */
        return -1;
    }
    signals_forget_descriptor(descriptor);
    return real.close(descriptor);
}

static void give_way(int descriptor)
{
    if (guard_active && own_descriptor_is(descriptor))
        own_descriptor_yield(descriptor);
}

static int redirected(int result)
{
    if (guard_active && result == STDERR_FILENO)
        output_redirected();
    return result;
}

EXPORT int dup2(int from, int to)
{
    real_need();
    give_way(to);
    return redirected(real.dup2(from, to));
}

EXPORT int dup3(int from, int to, int flags)
{
    real_need();
    give_way(to);
    return redirected(real.dup3(from, to, flags));
}

/* Around the shim's own. */
static int close_between(unsigned first, unsigned last, int flags)
{
    unsigned start = first;
    for (unsigned at = first; at <= last && at < 65536; at++)
        if (own_descriptor_is((int)at)) {
            if (at > start && real.close_range(start, at - 1, flags) != 0)
                return -1;
            start = at + 1;
        }
    return start > last ? 0 : real.close_range(start, last, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    real_need();
    if (!guard_active || first > last)
        return real.close_range(first, last, flags);
    return close_between(first, last, flags);
}

EXPORT void closefrom(int first)
{
    real_need();
    int saved = errno;
    if (!guard_active || close_between(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0) != 0)
        real.closefrom(first);
    errno = saved;
}

#define REOPEN_HOOK(name)                                                                          \
    EXPORT FILE *name(const char *restrict path, const char *restrict mode, FILE *restrict stream) \
    {                                                                                              \
        real_need();                                                                               \
        FILE *result = real.name(path, mode, stream);                                              \
        if (guard_active && result != NULL && stream == stderr)                                    \
            output_redirected();                                                                   \
        return result;                                                                             \
    }

REOPEN_HOOK(freopen)
REOPEN_HOOK(freopen64)
