/* Descriptor hooks: what ends descriptors, or replaces them. The shim's own descriptors survive a
 * program that closes all of them, give way to one that wants their number, and reports follow a
 * program that redirects standard error. */
#include "capture/real.h"
#include "capture/signals.h"

#include "base/output.h"
#include "base/own_descriptor.h"
#include "base/system.h"
#include "base/text.h"
#include "event/descriptor.h"

#include <limits.h>

static inline __attribute__((always_inline)) int end(int descriptor, struct caller caller)
{
    if (guard_active && __builtin_expect(own_descriptor_is(descriptor), 0)) {
        errno = EBADF; /* as far as the program is concerned it is not open */
        event_closed(descriptor, CLOSING_UNSEEN, false, caller);
        return -1;
    }
    signals_forget_descriptor(descriptor);
    enum closing closing = event_closing(descriptor, caller);
    int result = closing == CLOSING_DONE ? 0 : -1, saved = errno;
    if (closing == CLOSING_DONE) {
        (void)real.close(-1); /* the calling thread may be cancelled here (pthreads(7)) */
        errno = saved;
    } else if (closing == CLOSING_REFUSED) {
        errno = EBADF;
    } else {
        result = real.close(descriptor);
        event_closed(descriptor, closing, result == 0, caller);
    }
    return result;
}

EXPORT int close(int descriptor)
{
    real_need();
    return end(descriptor, CALLER_HERE());
}

/* It is a close(2) there (mq_overview(7)). */
EXPORT int mq_close(mqd_t queue)
{
    real_need();
    return end(queue, CALLER_HERE());
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

/* What the caller wants to duplicate is closed, its number kept. */
static bool is_closed(int from, const char *function, struct caller caller)
{
    if (!event_is_kept(from))
        return false;
    errno = EBADF;
    event_use_failed(from, function, false, caller);
    return true;
}

static int replaced(int result, int from, int to, bool yielded, const char *function,
                    struct caller caller)
{
    if (result < 0) {
        int saved = errno;
        if (yielded)
            (void)real.close(to);
        errno = saved;
        if (errno == EBADF)
            event_use_failed(from, function, false, caller);
    } else if (from != to) {
        event_replaced(to, function, caller);
    }
    return redirected(result);
}

EXPORT int dup2(int from, int to)
{
    real_need();
    if (is_closed(from, "dup2", CALLER_HERE()))
        return -1;
    give_way(to);
    bool yielded = from != to && event_replacing(to);
    return replaced(real.dup2(from, to), from, to, yielded, "dup2", CALLER_HERE());
}

EXPORT int dup3(int from, int to, int flags)
{
    real_need();
    if (is_closed(from, "dup3", CALLER_HERE()))
        return -1;
    give_way(to);
    bool yielded = from != to && event_replacing(to);
    return replaced(real.dup3(from, to, flags), from, to, yielded, "dup3", CALLER_HERE());
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
    if (flags == 0)
        event_closing_range(first, last, "close_range", CALLER_HERE());
    return close_between(first, last, flags);
}

/* One by one, where close_range is refused or missing. What others open meanwhile stays, as with
 * libc's own closefrom(). False: the numbers cannot be listed. */
static bool close_listed(int first)
{
    _Alignas(struct dirent64) char entries[1024] = {0};
    long list = system_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), size = -1;
    bool closed = true;
    while (list >= 0 && closed) { /* closing may move what is not yet read */
        closed = false;
        (void)system_call3(SYS_lseek, list, 0, SEEK_SET);
        while ((size = system_call3(SYS_getdents64, list, (long)entries, sizeof entries)) > 0)
            for (long at = 0; at < size;) {
                const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
                uint64_t number = 0;
                at += entry->d_reclen;
                if (text_parse_size(entry->d_name, text_length(entry->d_name), &number) &&
                    (int)number >= first && number != (uint64_t)list &&
                    !own_descriptor_is((int)number) && system_close((int)number) == 0)
                    closed = true;
            }
    }
    if (list >= 0)
        (void)system_close((int)list);
    return size == 0;
}

EXPORT void closefrom(int first)
{
    real_need();
    int saved = errno;
    int from = first < 0 ? 0 : first;
    if (guard_active)
        event_closing_range((unsigned)from, UINT_MAX, "closefrom", CALLER_HERE());
    if (!guard_active || (close_between((unsigned)from, UINT_MAX, 0) != 0 && !close_listed(from)))
        real.closefrom(first);
    errno = saved;
}
