/* Descriptor quarantine: see descriptor_quarantine.h. */
#include "registry/descriptor_quarantine.h"

#include "base/system.h"
#include "base/text.h"
#include "registry/descriptor.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct lock quarantine_lock;
static struct {
    int number;
    uint64_t word;
} ring[DESCRIPTOR_QUARANTINE_MOST];
static uint32_t first, count, room;
static _Atomic int pauses;
static _Atomic int scarce_from = INT_MAX; /* numbers near the limit */
static _Atomic bool scarce;

/* The limit now; three quarters of it are plenty. */
static rlim_t read_limit(void)
{
    struct rlimit limit = {0, 0};
    (void)system_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
    atomic_store(&scarce_from, limit.rlim_cur < INT_MAX ? (int)(limit.rlim_cur / 4 * 3) : INT_MAX);
    return limit.rlim_cur;
}

void descriptor_quarantine_start(uint64_t most)
{
    rlim_t limit = read_limit();
    if (most > limit / 8)
        most = limit / 8;
    room = most > DESCRIPTOR_QUARANTINE_MOST ? DESCRIPTOR_QUARANTINE_MOST : (uint32_t)most;
}

bool descriptor_quarantine_takes(int number)
{
    return room > 0 && number > 2 && atomic_load_explicit(&pauses, memory_order_relaxed) == 0 &&
           !atomic_load_explicit(&scarce, memory_order_relaxed) && !system_is_refused(SYS_dup3) &&
           !system_is_refused(SYS_openat) && !system_is_refused(SYS_memfd_create);
}

/* With the lock: nobody puts a file there meanwhile. */
static void release_oldest(void)
{
    int number = ring[first].number;
    uint64_t word = ring[first].word;
    first = (first + 1) % DESCRIPTOR_QUARANTINE_MOST;
    count--;
    if ((descriptor_word(number) & DESCRIPTOR_KEPT) != 0 &&
        descriptor_clear(number, word, DESCRIPTOR_KEPT))
        (void)system_close(number);
}

/* Of a file that is nobody else's: what a raw call, or one by /proc/self/fd, may do to a
 * stand-in (change its owner, its times, its mode) reaches nothing. */
static long open_stand_in(void)
{
    char path[32];
    long file = system_call3(SYS_memfd_create, (long)"outlive", MFD_CLOEXEC, 0);
    if (file < 0)
        return file;
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/fd/%ld", file);
    long stand_in = system_open(path, O_PATH | O_CLOEXEC, 0);
    (void)system_close((int)file);
    return stand_in;
}

/* A number of its own only for a moment: nothing is left for the program to close. */
static bool put_stand_in(int number)
{
    long stand_in = open_stand_in();
    if (stand_in < 0)
        return false;
    long put =
        descriptor_is_open(number) ? system_call3(SYS_dup3, stand_in, number, O_CLOEXEC) : -1;
    (void)system_close((int)stand_in);
    return put == number;
}

bool descriptor_quarantine_keep(int number)
{
    uint64_t word = descriptor_word(number);
    if (!lock_try(&quarantine_lock)) { /* close() in a signal handler */
        (void)descriptor_clear(number, word, DESCRIPTOR_KEPT);
        return false;
    }
    bool kept = put_stand_in(number);
    if (kept) {
        if (count == room)
            release_oldest();
        uint32_t at = (first + count++) % DESCRIPTOR_QUARANTINE_MOST;
        ring[at].number = number;
        ring[at].word = word;
    } else {
        (void)descriptor_clear(number, word, DESCRIPTOR_KEPT);
    }
    lock_release(&quarantine_lock);
    return kept;
}

void descriptor_quarantine_yield(int number)
{
    lock_take(&quarantine_lock); /* it may be leaving right now */
    uint64_t word = descriptor_word(number);
    if ((word & DESCRIPTOR_KEPT) != 0)
        (void)descriptor_clear(number, word, DESCRIPTOR_KEPT);
    lock_release(&quarantine_lock);
}

void descriptor_quarantine_release(int number)
{
    lock_take(&quarantine_lock);
    uint64_t word = descriptor_word(number);
    if ((word & DESCRIPTOR_KEPT) != 0 && descriptor_clear(number, word, DESCRIPTOR_KEPT))
        (void)system_close(number);
    lock_release(&quarantine_lock);
}

bool descriptor_quarantine_empty(void)
{
    lock_take(&quarantine_lock);
    bool any = count > 0;
    while (count > 0)
        release_oldest();
    lock_release(&quarantine_lock);
    return any;
}

void descriptor_quarantine_pause(bool pause)
{
    atomic_fetch_add(&pauses, pause ? 1 : -1);
    if (pause)
        (void)descriptor_quarantine_empty();
}

void descriptor_quarantine_saw(int number)
{
    if (__builtin_expect(number < atomic_load_explicit(&scarce_from, memory_order_relaxed), 1))
        return;
    (void)read_limit(); /* programs raise it */
    if (number < atomic_load(&scarce_from) || atomic_exchange(&scarce, true))
        return;
    (void)descriptor_quarantine_empty();
}

void descriptor_quarantine_prepare_fork(void)
{
    lock_before_fork(&quarantine_lock);
}

void descriptor_quarantine_forked(bool child)
{
    if (child) {
        while (count > 0)
            release_oldest();
        atomic_store(&pauses, 0);
    }
    lock_after_fork(&quarantine_lock, child);
}
