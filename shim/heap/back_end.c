/* Back end: see back_end.h. */
#include "heap/back_end.h"

#include "base/memory.h"
#include "base/output.h"
#include "base/own_descriptor.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* linux/mman.h of Linux 6.13 */
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1 /* linux/userfaultfd.h of Linux 5.11 */
#endif

enum back_end back_end;
static bool keep_content;
/* mprotect splits mappings: each dead place between live ones may cost two. */
static _Atomic long mappings_left;
static int userfault = -1;
static const char zeros[16 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static bool unreadable(const void *address)
{
    /* access(2) reads a path from there and tells EFAULT instead of trapping. */
    return system_call3(SYS_access, (long)address, 0, 0) == -14;
}

static bool probe_marker(void)
{
    char *page = memory_map(PAGE_SIZE);
    if (page == NULL)
        return false;
    page[0] = '/';
    bool works = system_call3(SYS_madvise, (long)page, PAGE_SIZE, MADV_GUARD_INSTALL) == 0 &&
                 unreadable(page);
    memory_unmap(page, PAGE_SIZE);
    return works;
}

static long mapping_limit(void)
{
    char digits[32] = {0};
    uint64_t limit = 65530; /* DEFAULT_MAX_MAP_COUNT, kernel mm.h */
    long file = system_open("/proc/sys/vm/max_map_count", 0, 0);
    if (file >= 0) {
        long length = system_read((int)file, digits, sizeof digits - 1);
        (void)system_close((int)file);
        while (length > 0 && (digits[length - 1] < '0' || digits[length - 1] > '9'))
            length--;
        if (length > 0)
            (void)text_parse_size(digits, (size_t)length, &limit);
    }
    return (long)(limit / 4); /* the rest is the program's */
}

/* A descriptor, or -1: not allowed. */
static int open_userfault(void)
{
    long number = system_call3(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY, 0, 0);
    if (number == -EINVAL) /* before Linux 5.11 */
        number = system_call3(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK, 0, 0);
    if (number < 0)
        return -1;
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
    int moved = -1;
    if (system_call3(SYS_ioctl, number, (long)UFFDIO_API, (long)&api) == 0)
        moved = own_descriptor_duplicate((int)number);
    (void)system_close((int)number);
    return moved;
}

static bool watch(uintptr_t start, size_t size)
{
    struct uffdio_register range = {.range = {start, size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return system_call3(SYS_ioctl, userfault, (long)UFFDIO_REGISTER, (long)&range) == 0;
}

static bool probe_userfault(void)
{
    char *page = memory_map(PAGE_SIZE);
    userfault = open_userfault();
    back_end = BACK_USERFAULT;
    bool works = page != NULL && userfault >= 0 && watch((uintptr_t)page, PAGE_SIZE) &&
                 unreadable(page) && back_end_fill((uintptr_t)page, PAGE_SIZE) &&
                 !unreadable(page) && memory_discard(page, PAGE_SIZE) && unreadable(page);
    if (page != NULL)
        memory_unmap(page, PAGE_SIZE);
    if (!works && userfault >= 0) {
        (void)system_close(userfault);
        userfault = -1;
    }
    back_end = works ? BACK_USERFAULT : BACK_MPROTECT;
    return works;
}

void back_end_start(const struct options *options)
{
    /* A suppressed late touch must find what it would have found. */
    keep_content = !options->halt_on_error || options->suppressions[0] != '\0';
    atomic_store(&mappings_left, mapping_limit());
    back_end = BACK_MPROTECT;
    if (text_equal(options->guard, "off")) {
        back_end = BACK_OFF;
        return;
    }
    bool automatic = text_equal(options->guard, "auto");
    bool marker = text_equal(options->guard, "marker");
    bool userfaultfd = text_equal(options->guard, "userfaultfd");
    if (keep_content) {
        if (marker || userfaultfd)
            output_tell_once("this guard= cannot give memory back as halt_on_error=0 and "
                             "suppressions need: using mprotect instead of",
                             options->guard);
        return;
    }
    if ((automatic || marker) && probe_marker()) {
        back_end = BACK_MARKER;
        return;
    }
    if (marker)
        output_tell_once("guard=marker needs Linux 6.13 or later: using mprotect", NULL);
    if ((automatic || userfaultfd) && probe_userfault()) {
        own_descriptor_add(&userfault);
        return;
    }
    if (userfaultfd)
        output_tell_once("guard=userfaultfd is not allowed here (as root, by "
                         "vm.unprivileged_userfaultfd=1, or by itself from Linux 5.11 on; "
                         "containers forbid it): using mprotect",
                         NULL);
}

const char *back_end_name(void)
{
    static const char *const names[] = {"off", "marker", "userfaultfd", "mprotect"};
    return names[back_end];
}

bool back_end_keeps_content(void)
{
    return keep_content;
}

bool back_end_has_room(void)
{
    return back_end != BACK_MPROTECT || atomic_load(&mappings_left) > 0;
}

bool back_end_open(uintptr_t start, size_t size)
{
    return memory_protect((void *)start, size, PROT_READ | PROT_WRITE) &&
           (back_end != BACK_USERFAULT || watch(start, size));
}

bool back_end_fill(uintptr_t place, size_t size)
{
    if (back_end != BACK_USERFAULT)
        return true;
    size_t done = 0;
    while (done < size) {
        size_t part = size - done < sizeof zeros ? size - done : sizeof zeros;
        struct uffdio_copy copy = {.dst = place + done, .src = (uintptr_t)zeros, .len = part};
        long error = system_call3(SYS_ioctl, userfault, (long)UFFDIO_COPY, (long)&copy);
        if (copy.copy > 0)
            done += (size_t)copy.copy; /* some of it, where the kernel was interrupted */
        else if (error != -EAGAIN)
            return false;
    }
    return true;
}

bool back_end_kill(uintptr_t at, size_t size)
{
    void *place = (void *)at;
    if (back_end == BACK_USERFAULT)
        return memory_discard(place, size); /* in one step: nobody reads zeros */
    /* Access ends first: discarding, and installing a marker, empty the page before they close it,
     * and a thread that looks in that moment would read zeros. */
    bool closed = memory_protect(place, size, PROT_NONE);
    /* At the limit on mappings closing is refused, the marker is not. */
    bool marked = back_end == BACK_MARKER &&
                  system_call3(SYS_madvise, (long)place, (long)size, MADV_GUARD_INSTALL) == 0;
    bool reopened = closed && marked && memory_protect(place, size, PROT_READ | PROT_WRITE);
    if (closed && !reopened) {
        if (!keep_content)
            (void)memory_discard(place, size);
        atomic_fetch_sub(&mappings_left, 1);
    }
    return closed || marked;
}

void back_end_close(uintptr_t start, size_t size)
{
    if (!keep_content)
        (void)system_call6(SYS_mmap, (long)start, (long)size, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

bool back_end_forked(uintptr_t first, uintptr_t opened)
{
    if (back_end != BACK_USERFAULT)
        return true;
    /* What was inherited belongs to the parent's memory. */
    (void)system_close(userfault);
    userfault = open_userfault();
    if (userfault >= 0 && (opened == first || watch(first, opened - first)))
        return true;
    back_end = BACK_MPROTECT;
    return false;
}
