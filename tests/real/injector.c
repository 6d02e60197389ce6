/* Injector: makes a lifetime mistake in a program that is not ours. Preloaded before the shim
 * (LD_PRELOAD="injector.so liboutlive.so"), it keeps its own table of live guarded blocks; when the
 * file go.PID appears in INJECT_DIRECTORY ("SEED SIGNAL"), its thread `injector` chooses one of
 * them, sends the signal that ends the program, frees the block through the shim, and swallows the
 * program's own free of it.
 *
 * It also is the oracle that says whether the block was touched again, and by which thread, in the
 * same run: two runs of a server never allocate alike, so one without the shim would tell of other
 * blocks. It does not believe the shim: it closes the block's pages itself, and a fault comes to
 * its own handler first. That one writes the touch down, gives the pages back just as the shim had
 * left them, and lets the instruction run again: from then on the shim is alone. What is touched by
 * calls that do not fault (the kernel's EFAULT, locks that the shim asks about first) is written
 * down around the call.
 *
 * Everything goes to result.PID, a line each:
 *   block ADDRESS SIZE INDEX CANDIDATES  frame MODULE+OFFSET SYMBOL (of the birth)
 *   freed                                the injected free is done
 *   fault|lock|system TID OFFSET|CALL PLACE|- NAME        a touch
 *   passing TID CALL - NAME, passed TID                   a call with the block, which came back
 * well swallowed TID NAME                                    the program's own free */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096)
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
static _Atomic pid_t process; /* a forked child has no injector */
static char directory[400];   /* a copy: programs write over their environment */

static bool reopen; /* INJECT_REOPEN: a shim that keeps nothing closed, to see the measure fail */

static struct block *_Atomic injected;
static uintptr_t injected_first, injected_last; /* its pages */
static void *injected_copy;                     /* its last content */
static _Atomic bool dead;                       /* the injected free is done */
static int result = -1;

static bool is_injected(uintptr_t address)
{
    return atomic_load(&injected) != NULL && address >= injected_first && address < injected_last &&
           getpid() == atomic_load(&process);
}

static bool is_dead(uintptr_t address)
{
    return atomic_load(&dead) && is_injected(address);
}

static void write_line(const char *line, int length)
{
    if (length > 0)
        (void)!syscall(SYS_write, result, line, (size_t)length);
}

static void write_touch(const char *what, const char *where, const char *place)
{
    char name[17] = "", line[256];
    (void)syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    write_line(line, snprintf(line, sizeof line, "%s %ld %s %s %s\n", what, syscall(SYS_gettid),
                              where, place, name));
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
    if (getpid() != atomic_load(&process))
        return false;
    char name[17] = "", line[64];
    (void)syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    write_line(line, snprintf(line, sizeof line, "swallowed %ld %s\n", syscall(SYS_gettid), name));
    return true;
}

/* ---- what the program calls instead ---- */

/* All arguments of the calls below are integers or pointers: one prototype does for all. */
typedef long (*any_call)(long, long, long, long, long, long);

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

static any_call next[CALLS];

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
    if (!atomic_load(&dead) || getpid() != atomic_load(&process))
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
static const struct {
    const char *name;
    uintptr_t function;
} calls[CALLS] = {ALLOCATING(ROW_ALLOCATING) FREEING(ROW) LOCKING(ROW) ENTERING(ROW) ROW(realloc)
                      ROW(reallocarray) ROW(posix_memalign) ROW(malloc_usable_size)};

/* ---- how its calls get here ---- */

/* Not by symbols of our own: the shim would take a malloc before its own for the program's, and
 * stand back. So the slots that the loader bound to the shim or libc are bound to us. */
static void bind_slot(const struct dl_phdr_info *object, const ElfW(Rela) * relocation,
                      const ElfW(Sym) * symbols, const char *names)
{
    unsigned long type = ELF64_R_TYPE(relocation->r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64)
        return;
    const char *name = names + symbols[ELF64_R_SYM(relocation->r_info)].st_name;
    for (size_t i = 0; i < CALLS; i++) {
        if (next[i] == NULL || strcmp(calls[i].name, name) != 0)
            continue;
        uintptr_t *slot = (uintptr_t *)(object->dlpi_addr + relocation->r_offset);
        if (*slot == calls[i].function ||
            (type != R_X86_64_JUMP_SLOT && *slot != (uintptr_t)next[i]))
            return; /* done before, or data that the program has changed */
        void *page = (void *)((uintptr_t)slot & ~(PAGE - 1));
        bool closed = false;
        for (int j = 0; j < object->dlpi_phnum; j++) {
            const ElfW(Phdr) *segment = &object->dlpi_phdr[j];
            uintptr_t start = object->dlpi_addr + segment->p_vaddr;
            closed |= segment->p_type == PT_GNU_RELRO && (uintptr_t)slot >= start &&
                      (uintptr_t)slot < start + segment->p_memsz;
        }
        if (closed)
            (void)mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        *slot = calls[i].function;
        if (closed)
            (void)mprotect(page, PAGE, PROT_READ);
        return;
    }
}

static bool holds(const struct dl_phdr_info *object, uintptr_t address)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD &&
            address - object->dlpi_addr - segment->p_vaddr < segment->p_memsz)
            return true;
    }
    return false;
}

static int bind_object(struct dl_phdr_info *object, size_t size, void *seen)
{
    (void)size;
    unsigned long long *adds = seen;
    if (object->dlpi_adds == *adds)
        return 1; /* nothing was loaded since */
    if (holds(object, (uintptr_t)next[NUMBER_malloc]) || holds(object, (uintptr_t)&bind_object) ||
        strstr(object->dlpi_name, "linux-vdso") != NULL ||
        strstr(object->dlpi_name, "/ld-linux") != NULL)
        return 0;
    uintptr_t names = 0, symbols = 0, tables[2] = {0, 0};
    size_t sizes[2] = {0, 0};
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            switch (entry->d_tag) {
            case DT_STRTAB:
                names = entry->d_un.d_ptr;
                break;
            case DT_SYMTAB:
                symbols = entry->d_un.d_ptr;
                break;
            case DT_RELA:
                tables[0] = entry->d_un.d_ptr;
                break;
            case DT_RELASZ:
                sizes[0] = entry->d_un.d_val;
                break;
            case DT_JMPREL:
                tables[1] = entry->d_un.d_ptr;
                break;
            case DT_PLTRELSZ:
                sizes[1] = entry->d_un.d_val;
                break;
            default:
                break;
            }
    }
    for (size_t i = 0; i < 2 && names != 0 && symbols != 0; i++)
        for (size_t at = 0; at < sizes[i] / sizeof(ElfW(Rela)); at++)
            bind_slot(object, (const ElfW(Rela) *)tables[i] + at, (const void *)symbols,
                      (const char *)names);
    return 0;
}

static int note_adds(struct dl_phdr_info *object, size_t size, void *seen)
{
    (void)size;
    *(unsigned long long *)seen = object->dlpi_adds;
    return 1;
}

static void bind_all(void)
{
    static unsigned long long adds;
    unsigned long long before = adds;
    (void)dl_iterate_phdr(note_adds, &adds);
    (void)dl_iterate_phdr(bind_object, &before);
}

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
    size_t index = (size_t)((seed * 0x9e3779b97f4a7c15UL >> 32) % candidates), at = 0;
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

static void write_birth(const struct block *block)
{
    for (int i = 2; i < block->frame_count; i++) { /* without born() and the wrapper */
        Dl_info place = {0};
        char line[512];
        (void)dladdr(block->frames[i], &place);
        write_line(line, snprintf(line, sizeof line, "frame %s+0x%lx %s\n",
                                  place.dli_fname == NULL ? "?" : place.dli_fname,
                                  (uintptr_t)block->frames[i] - (uintptr_t)place.dli_fbase,
                                  place.dli_sname == NULL ? "?" : place.dli_sname));
    }
}

static void keep_maps(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/maps.%d", directory, getpid());
    FILE *from = fopen("/proc/self/maps", "re"), *to = fopen(path, "we");
    int c;
    while (from != NULL && to != NULL && (c = fgetc(from)) != EOF)
        (void)fputc(c, to);
    if (from != NULL)
        (void)fclose(from);
    if (to != NULL)
        (void)fclose(to);
}

static void inject(unsigned long seed, int sign)
{
    keep_maps();
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    pagemap = fcntl(pagemap, F_DUPFD_CLOEXEC, 900);
    go_before_the_shim();
    if (sign != 0) /* the first sign of the shutdown, and at once: */
        (void)kill(getpid(), sign);
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
    write_birth(block);
}

static void *wait_for_go(void *unused)
{
    (void)prctl(PR_SET_NAME, "injector");
    char path[512];
    (void)snprintf(path, sizeof path, "%s/go.%d", directory, getpid());
    int file;
    while ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        bind_all();
        (void)usleep(10000);
    }
    char order[64] = "";
    (void)!read(file, order, sizeof order - 1);
    (void)close(file);
    (void)snprintf(path, sizeof path, "%s/result.%d", directory, getpid());
    /* Far up: servers close low descriptors that are not theirs. */
    result = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    result = fcntl(result, F_DUPFD_CLOEXEC, 900);
    char *rest;
    unsigned long seed = strtoul(order, &rest, 10);
    inject(seed, (int)strtol(rest, NULL, 10));
    return unused;
}

static void start_thread(void)
{
    atomic_store(&process, atomic_load(&injected) == NULL ? getpid() : 0);
    if (atomic_load(&injected) != NULL)
        return;
    sigset_t all, before;
    (void)sigfillset(&all); /* the program's signals are for its own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_go, NULL) == 0)
        (void)pthread_detach(thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
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

static void *map(size_t size)
{
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

__attribute__((constructor)) static void start(void)
{
    const char *given = getenv("INJECT_DIRECTORY");
    find_arena(); /* the shim came up before: it stands later in LD_PRELOAD */
    if (given == NULL || strlen(given) >= sizeof directory || arena_last == 0) {
        (void)fputs("injector: no INJECT_DIRECTORY, or no shim\n", stderr);
        return;
    }
    (void)strcpy(directory, given);
    reopen = getenv("INJECT_REOPEN") != NULL;
    void *frames[4];
    (void)backtrace(frames, 4); /* loads libgcc now, not in an allocation */
    for (size_t i = 0; i < CALLS; i++)
        next[i] = (any_call)(uintptr_t)dlsym(RTLD_DEFAULT, calls[i].name);
    blocks = map(BLOCKS * sizeof *blocks);
    owners = map(ARENA_SIZE / PAGE * sizeof *owners);
    if (blocks == NULL || owners == NULL)
        return;
    bind_all();
    (void)pthread_atfork(NULL, NULL, start_thread); /* a server's workers are its children */
    start_thread();
}
