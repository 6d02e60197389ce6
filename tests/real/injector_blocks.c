/* Injector of blocks: chooses one of the program's live guarded blocks, frees it through the shim,
 * and swallows the program's own free of it. See injector.h.
 *
 * The oracle closes the block's pages itself, and a fault comes to its own handler first. That one
 * writes the touch down, gives the pages back just as the shim had left them, and lets the
 * instruction run again: from then on the shim is alone. What is touched by calls that do not fault
 * (the kernel's EFAULT, locks that the shim asks about first) is written down around the call.
 *
 * The result:
 *   block ADDRESS SIZE INDEX CANDIDATES  frame MODULE+OFFSET SYMBOL (of the birth)
 *   freed                                the injected free is done
 *   fault|lock|system TID OFFSET|CALL PLACE|- NAME        a touch
 *   passing TID CALL - NAME, passed TID                   a call with it, which came back well
 *   swallowed TID NAME                                    the program's own free */
#include "injector.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE 103 /* Linux 6.13, include/uapi/asm-generic/mman-common.h */
#endif
#define ARENA_SIZE ((uintptr_t)256 << 30) /* as in shim/heap/arena.c */
#define ARENA_SLACK 64                    /* as in shim/heap/arena.h */
#define BLOCKS ((size_t)1 << 20)
#define FRAMES 12

enum state { BLOCK_NONE, BLOCK_LIVE, BLOCK_BUSY, BLOCK_FREED, BLOCK_INJECTED };

struct block {
    _Atomic int state;
    uintptr_t address;
    size_t size, place_size;
    void *frames[FRAMES];
    int frame_count;
};

/* ---- what is known ---- */

static uintptr_t arena_first, arena_last;
static struct block *blocks; /* in order of birth */
static _Atomic size_t block_count;
static _Atomic uint32_t *owners; /* of each page of the arena: index + 1 */
static __thread bool inside __attribute__((tls_model("initial-exec")));

static bool reopen; /* INJECT_REOPEN: a shim that keeps nothing closed, to see the measure fail */

static struct block *_Atomic injected;
static uintptr_t injected_first, injected_last; /* its pages */
static void *injected_copy;                     /* its last content */
static _Atomic bool dead;                       /* the injected free is done */

static bool is_injected(uintptr_t address)
{
    return atomic_load(&injected) != NULL && address >= injected_first && address < injected_last &&
           injector_is_here();
}

static bool is_dead(uintptr_t address)
{
    return atomic_load(&dead) && is_injected(address);
}

static struct block *block_at(void *address)
{
    uintptr_t at = (uintptr_t)address;
    if (owners == NULL || at < arena_first || at >= arena_last)
        return NULL;
    uint32_t number = atomic_load(&owners[(at - arena_first) / PAGE]);
    return number == 0 || blocks[number - 1].address != at ? NULL : &blocks[number - 1];
}

/* Births of guarded blocks only: the arena never hands an address out again. */
static void *born(void *address, size_t size)
{
    uintptr_t at = (uintptr_t)address;
    if (owners == NULL || at < arena_first || at >= arena_last || inside)
        return address;
    if (block_at(address) != NULL)
        return address; /* operator new that called malloc */
    size_t index = atomic_fetch_add(&block_count, 1);
    if (index >= BLOCKS)
        return address;
    struct block *block = &blocks[index];
    block->address = at;
    block->size = size;
    block->place_size = (size + ARENA_SLACK + PAGE - 1) / PAGE * PAGE;
    int saved = errno;
    inside = true;
    block->frame_count = backtrace(block->frames, FRAMES);
    inside = false;
    errno = saved;
    atomic_store(&owners[(at - arena_first) / PAGE], (uint32_t)index + 1);
    atomic_store(&block->state, BLOCK_LIVE);
    return address;
}

/* Whether the program's free is to be swallowed; else the block is no candidate any more. */
static bool dies(void *address)
{
    struct block *block = block_at(address);
    int live = BLOCK_LIVE;
    if (block == NULL || atomic_compare_exchange_strong(&block->state, &live, BLOCK_FREED) ||
        live != BLOCK_INJECTED)
        return false;
    if (!injector_is_here())
        return false;
    char name[17] = "", line[64];
    (void)syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    write_line(line, snprintf(line, sizeof line, "swallowed %ld %s\n", syscall(SYS_gettid), name));
    return true;
}

/* ---- what the program calls instead ---- */

#define ALLOCATING(CALL)                                                                           \
    CALL(malloc, a)                                                                                \
    CALL(calloc, a *b)                                                                             \
    CALL(aligned_alloc, b)                                                                         \
    CALL(memalign, b)                                                                              \
    CALL(_Znwm, a)                                                                                 \
    CALL(_Znam, a)                                                                                 \
    CALL(_ZnwmRKSt9nothrow_t, a)                                                                   \
    CALL(_ZnamRKSt9nothrow_t, a)                                                                   \
    CALL(_ZnwmSt11align_val_t, a)                                                                  \
    CALL(_ZnamSt11align_val_t, a)                                                                  \
    CALL(_ZnwmSt11align_val_tRKSt9nothrow_t, a)                                                    \
    CALL(_ZnamSt11align_val_tRKSt9nothrow_t, a)

#define FREEING(CALL)                                                                              \
    CALL(free)                                                                                     \
    CALL(_ZdlPv)                                                                                   \
    CALL(_ZdaPv)                                                                                   \
    CALL(_ZdlPvm)                                                                                  \
    CALL(_ZdaPvm)                                                                                  \
    CALL(_ZdlPvRKSt9nothrow_t)                                                                     \
    CALL(_ZdaPvRKSt9nothrow_t)                                                                     \
    CALL(_ZdlPvSt11align_val_t)                                                                    \
    CALL(_ZdaPvSt11align_val_t)                                                                    \
    CALL(_ZdlPvmSt11align_val_t)                                                                   \
    CALL(_ZdaPvmSt11align_val_t)                                                                   \
    CALL(_ZdlPvSt11align_val_tRKSt9nothrow_t)                                                      \
    CALL(_ZdaPvSt11align_val_tRKSt9nothrow_t)

/* The shim may find the dead block in these before anything faults. */
#define LOCKING(CALL)                                                                              \
    CALL(pthread_mutex_lock)                                                                       \
    CALL(pthread_mutex_trylock)                                                                    \
    CALL(pthread_mutex_timedlock)                                                                  \
    CALL(pthread_mutex_clocklock)                                                                  \
    CALL(pthread_mutex_unlock)                                                                     \
    CALL(pthread_cond_wait)                                                                        \
    CALL(pthread_cond_timedwait)                                                                   \
    CALL(pthread_cond_clockwait)                                                                   \
    CALL(pthread_cond_signal)                                                                      \
    CALL(pthread_cond_broadcast)                                                                   \
    CALL(pthread_rwlock_rdlock)                                                                    \
    CALL(pthread_rwlock_tryrdlock)                                                                 \
    CALL(pthread_rwlock_wrlock)                                                                    \
    CALL(pthread_rwlock_trywrlock)                                                                 \
    CALL(pthread_rwlock_unlock)                                                                    \
    CALL(sem_wait)                                                                                 \
    CALL(sem_trywait)                                                                              \
    CALL(sem_timedwait)                                                                            \
    CALL(sem_post)

/* The kernel does not fault: it fails. More of them than the shim hooks. */
#define ENTERING(CALL)                                                                             \
    CALL(read)                                                                                     \
    CALL(pread)                                                                                    \
    CALL(pread64)                                                                                  \
    CALL(readv)                                                                                    \
    CALL(preadv64)                                                                                 \
    CALL(recv)                                                                                     \
    CALL(recvfrom)                                                                                 \
    CALL(recvmsg)                                                                                  \
    CALL(recvmmsg)                                                                                 \
    CALL(write)                                                                                    \
    CALL(pwrite)                                                                                   \
    CALL(pwrite64)                                                                                 \
    CALL(writev)                                                                                   \
    CALL(pwritev64)                                                                                \
    CALL(send)                                                                                     \
    CALL(sendto)                                                                                   \
    CALL(sendmsg)                                                                                  \
    CALL(sendmmsg)                                                                                 \
    CALL(epoll_wait)                                                                               \
    CALL(epoll_pwait)                                                                              \
    CALL(epoll_ctl)                                                                                \
    CALL(poll)                                                                                     \
    CALL(ppoll)                                                                                    \
    CALL(select)                                                                                   \
    CALL(accept)                                                                                   \
    CALL(accept4)                                                                                  \
    CALL(bind)                                                                                     \
    CALL(connect)                                                                                  \
    CALL(getsockname)                                                                              \
    CALL(getpeername)                                                                              \
    CALL(setsockopt)                                                                               \
    CALL(getsockopt)                                                                               \
    CALL(open)                                                                                     \
    CALL(open64)                                                                                   \
    CALL(openat)                                                                                   \
    CALL(openat64)                                                                                 \
    CALL(stat)                                                                                     \
    CALL(stat64)                                                                                   \
    CALL(lstat)                                                                                    \
    CALL(lstat64)                                                                                  \
    CALL(fstat)                                                                                    \
    CALL(fstat64)                                                                                  \
    CALL(access)                                                                                   \
    CALL(unlink)                                                                                   \
    CALL(rename)                                                                                   \
    CALL(mkdir)                                                                                    \
    CALL(rmdir)                                                                                    \
    CALL(chdir)                                                                                    \
    CALL(syscall)

#define NUMBER_ALLOCATING(name, size) NUMBER_##name,
#define NUMBER(name) NUMBER_##name,
enum {
    ALLOCATING(NUMBER_ALLOCATING) FREEING(NUMBER) LOCKING(NUMBER) ENTERING(NUMBER) NUMBER_realloc,
    NUMBER_reallocarray,
    NUMBER_posix_memalign,
    NUMBER_malloc_usable_size,
    CALLS
};

any_call next[CALLS];
const size_t call_count = CALLS;

#define CALL_ALLOCATING(name, size)                                                                \
    static long my_##name(long a, long b, long c)                                                  \
    {                                                                                              \
        return (long)born((void *)next[NUMBER_##name](a, b, c, 0, 0, 0), (size_t)(size));          \
    }
ALLOCATING(CALL_ALLOCATING)

#define CALL_FREEING(name)                                                                         \
    static long my_##name(long a, long b, long c)                                                  \
    {                                                                                              \
        return dies((void *)a) ? 0 : next[NUMBER_##name](a, b, c, 0, 0, 0);                        \
    }
FREEING(CALL_FREEING)

#define CALL_LOCKING(name)                                                                         \
    static long my_##name(long a, long b, long c, long d, long e, long f)                          \
    {                                                                                              \
        static __thread bool written __attribute__((tls_model("initial-exec")));                   \
        if (!written && (is_dead((uintptr_t)a) || is_dead((uintptr_t)b))) {                        \
            written = true;                                                                        \
            write_touch("lock", #name, "-");                                                       \
        }                                                                                          \
        return next[NUMBER_##name](a, b, c, d, e, f);                                              \
    }
LOCKING(CALL_LOCKING)

/* A call may have begun before its block died, and the shim may end the process before it comes
 * back: what each thread is in is kept, and written down at the injection. */
static struct under_way {
    _Atomic(const char *) call;
    pid_t thread;
    long arguments[3];
} under_way[1024];
static _Atomic size_t under_way_count;

static bool takes_dead(const long *arguments)
{
    return is_dead((uintptr_t)arguments[0]) || is_dead((uintptr_t)arguments[1]) ||
           is_dead((uintptr_t)arguments[2]);
}

static struct under_way *note_call(const char *call, const long *arguments)
{
    static __thread size_t slot __attribute__((tls_model("initial-exec")));
    if (slot == 0)
        slot = atomic_fetch_add(&under_way_count, 1) % 1024 + 1;
    struct under_way *own = &under_way[slot - 1];
    own->thread = (pid_t)syscall(SYS_gettid);
    memcpy(own->arguments, arguments, sizeof own->arguments);
    atomic_store(&own->call, call);
    return own;
}

static void write_under_way(void)
{
    char line[128];
    for (size_t i = 0; i < 1024; i++) {
        const char *call = atomic_load(&under_way[i].call);
        if (call != NULL && takes_dead(under_way[i].arguments))
            write_line(line, snprintf(line, sizeof line, "passing %d %s - ?\n", under_way[i].thread,
                                      call));
    }
}

static long enter(any_call function, const char *name, const long *arguments)
{
    bool known = atomic_load(&dead);
    if (known && takes_dead(arguments))
        write_touch("passing", name, "-");
    struct under_way *own = known ? NULL : note_call(name, arguments);
    long answer = function(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                           arguments[5]);
    if (own != NULL)
        atomic_store(&own->call, NULL);
    if (!atomic_load(&dead) || !injector_is_here())
        return answer;
    int saved = errno;
    if ((int)answer == -1 && saved == EFAULT)
        write_touch("system", name, "-");
    else if (takes_dead(arguments))
        write_touch("passed", name, "-");
    errno = saved;
    return answer;
}

#define CALL_ENTERING(name)                                                                        \
    static long my_##name(long a, long b, long c, long d, long e, long f)                          \
    {                                                                                              \
        const long arguments[] = {a, b, c, d, e, f};                                               \
        return enter(next[NUMBER_##name], #name, arguments);                                       \
    }
ENTERING(CALL_ENTERING)

static long my_malloc_usable_size(long address)
{
    return is_injected((uintptr_t)address)
               ? (long)atomic_load(&injected)->size
               : next[NUMBER_malloc_usable_size](address, 0, 0, 0, 0, 0);
}

static long resize(long address, long size)
{
    if (is_injected((uintptr_t)address)) { /* the program's own end of it, and it goes on */
        (void)dies((void *)address);
        struct block *block = atomic_load(&injected);
        long fresh = my_malloc(size, 0, 0);
        if (fresh != 0)
            memcpy((void *)fresh, injected_copy,
                   (size_t)size < block->size ? (size_t)size : block->size);
        return fresh;
    }
    struct block *block = block_at((void *)address);
    int live = BLOCK_LIVE;
    if (block == NULL || !atomic_compare_exchange_strong(&block->state, &live, BLOCK_BUSY))
        return (long)born((void *)next[NUMBER_realloc](address, size, 0, 0, 0, 0), (size_t)size);
    long moved = next[NUMBER_realloc](address, size, 0, 0, 0, 0);
    if (moved == address)
        block->size = (size_t)size;
    bool stays = moved == address || (moved == 0 && size != 0);
    atomic_store(&block->state, stays ? BLOCK_LIVE : BLOCK_FREED);
    return stays ? moved : (long)born((void *)moved, (size_t)size);
}

static long my_realloc(long address, long size)
{
    return resize(address, size);
}

static long my_reallocarray(long address, long count, long size)
{
    long total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return 0;
    }
    return resize(address, total);
}

static long my_posix_memalign(long place, long alignment, long size)
{
    long answer = next[NUMBER_posix_memalign](place, alignment, size, 0, 0, 0);
    if ((int)answer == 0)
        (void)born(*(void **)place, (size_t)size);
    return answer;
}

#define ROW_ALLOCATING(name, size) [NUMBER_##name] = {#name, (uintptr_t)&my_##name},
#define ROW(name) [NUMBER_##name] = {#name, (uintptr_t)&my_##name},
const struct call calls[] = {ALLOCATING(ROW_ALLOCATING) FREEING(ROW) LOCKING(ROW) ENTERING(ROW) ROW(
    realloc) ROW(reallocarray) ROW(posix_memalign) ROW(malloc_usable_size)};

/* ---- the oracle ---- */

struct kernel_action { /* as the kernel has it: struct sigaction of libc differs */
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};
static struct kernel_action shims;
static int left_as;             /* how the shim left the dead block's pages */
static _Atomic bool closed_too; /* closed by the injector */
static int pagemap;

static void touched(int number, siginfo_t *information, void *context)
{
    uintptr_t at = (uintptr_t)information->si_addr;
    if (information->si_code <= 0 || information->si_code == SI_KERNEL || !is_injected(at)) {
        shims.handler(number, information, context);
        return;
    }
    int saved = errno;
    uintptr_t place = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    char offset[32], code[64];
    uint64_t entry = 0; /* pagemap: bit 58 is the guard marker's */
    (void)syscall(SYS_pread64, pagemap, &entry, sizeof entry, at / PAGE * sizeof entry);
    (void)snprintf(offset, sizeof offset, "%ld", (long)(at - atomic_load(&injected)->address));
    (void)snprintf(code, sizeof code, "0x%lx,%d,%lx", place, information->si_code, entry);
    write_touch("fault", offset, code);
    errno = saved;
    bool closed = true;
    if (atomic_compare_exchange_strong(&closed_too, &closed, false))
        (void)syscall(SYS_mprotect, injected_first, injected_last - injected_first, left_as);
    else
        shims.handler(number, information, context);
}

static void go_before_the_shim(void)
{
    (void)syscall(SYS_rt_sigaction, SIGSEGV, NULL, &shims, 8);
    struct kernel_action mine = shims; /* on the shim's own stack, with its mask */
    mine.handler = touched;
    (void)syscall(SYS_rt_sigaction, SIGSEGV, &mine, NULL, 8);
}

static int protection_of(uintptr_t address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], mode[8];
    uintptr_t start, end;
    int found = PROT_NONE;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) == 3 && address >= start &&
            address < end)
            found = (mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0);
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}

/* ---- the injection ---- */

/* The destruction that the shim must name. */
__attribute__((noinline, visibility("default"))) void injected_free(void *address);
void injected_free(void *address)
{
    (void)next[NUMBER_free]((long)address, 0, 0, 0, 0, 0);
    __asm__ volatile(""); /* no tail call: its frame is to be on the stack */
}

static struct block *choose(unsigned long seed)
{
    size_t count = atomic_load(&block_count), candidates = 0;
    for (size_t i = 0; i < count; i++)
        candidates += atomic_load(&blocks[i].state) == BLOCK_LIVE;
    if (candidates == 0)
        return NULL;
    size_t index = choose_index(seed, candidates), at = 0;
    for (size_t i = 0; i < count; i++) {
        int live = BLOCK_LIVE;
        if (atomic_load(&blocks[i].state) != BLOCK_LIVE || at++ < index)
            continue;
        if (!atomic_compare_exchange_strong(&blocks[i].state, &live, BLOCK_INJECTED))
            continue; /* the program was faster */
        injected_first = blocks[i].address & ~(PAGE - 1);
        injected_last = injected_first + blocks[i].place_size;
        injected_copy = mmap(NULL, blocks[i].place_size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(injected_copy, (void *)blocks[i].address, blocks[i].size);
        char line[128];
        write_line(line, snprintf(line, sizeof line, "block 0x%lx %zu %zu %zu\n", blocks[i].address,
                                  blocks[i].size, i, candidates));
        return &blocks[i];
    }
    return NULL;
}

void object_inject(unsigned long seed)
{
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    pagemap = fcntl(pagemap, F_DUPFD_CLOEXEC, 900);
    go_before_the_shim();
    send_sign(); /* the first sign of the shutdown, and at once: */
    struct block *block = choose(seed);
    if (block == NULL) {
        write_line("none\n", 5);
        return;
    }
    atomic_store(&injected, block);
    injected_free((void *)block->address);
    atomic_store(&dead, true);
    write_under_way();
    if (reopen) { /* what if the shim had not closed it? */
        (void)syscall(SYS_madvise, injected_first, injected_last - injected_first,
                      MADV_GUARD_REMOVE);
        (void)syscall(SYS_mprotect, injected_first, injected_last - injected_first,
                      PROT_READ | PROT_WRITE);
        memcpy((void *)block->address, injected_copy, block->size);
    }
    left_as = protection_of(block->address);
    atomic_store(&closed_too, true);
    (void)syscall(SYS_mprotect, injected_first, injected_last - injected_first, PROT_NONE);
    write_line("freed\n", 6);
    write_frames(block->frames, 2, block->frame_count); /* without born() and the wrapper */
}

/* The largest closed mapping, up to whose end the arena was reserved: opened parts come first. */
static void find_arena(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], mode[8];
    uintptr_t start, end, largest = ARENA_SIZE / 2;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) == 3 && strcmp(mode, "---p") == 0 &&
            end - start > largest) {
            largest = end - start;
            arena_first = end - ARENA_SIZE;
            arena_last = end;
        }
    if (maps != NULL)
        (void)fclose(maps);
}

bool object_start(void)
{
    find_arena();
    reopen = getenv("INJECT_REOPEN") != NULL;
    blocks = injector_map(BLOCKS * sizeof *blocks);
    owners = injector_map(ARENA_SIZE / PAGE * sizeof *owners);
    return arena_last != 0 && blocks != NULL && owners != NULL;
}

bool object_is_injected(void)
{
    return atomic_load(&injected) != NULL;
}

void object_forked(void) {} /* its blocks are the child's, too */
