/* Injector: the order, the result, and how the program's calls get here. See injector.h. */
#include "injector.h"

#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic pid_t process; /* a forked child has no injector */
static char directory[400];   /* a copy: programs write over their environment */
static int result = -1;
static int sign; /* of the order */

bool injector_is_here(void)
{
    return getpid() == atomic_load(&process);
}

void *injector_map(size_t size)
{
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

/* ---- the result ---- */

void write_line(const char *line, int length)
{
    if (length > 0)
        (void)!syscall(SYS_write, result, line, (size_t)length);
}

void write_touch(const char *what, const char *where, const char *place)
{
    char name[17] = "", line[256];
    (void)syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    write_line(line, snprintf(line, sizeof line, "%s %ld %s %s %s\n", what, syscall(SYS_gettid),
                              where, place, name));
}

void write_frames(void *const *frames, int first, int count)
{
    for (int i = first; i < count; i++) {
        Dl_info place = {0};
        char line[512];
        (void)dladdr(frames[i], &place);
        write_line(line, snprintf(line, sizeof line, "frame %s+0x%lx %s\n",
                                  place.dli_fname == NULL ? "?" : place.dli_fname,
                                  (uintptr_t)frames[i] - (uintptr_t)place.dli_fbase,
                                  place.dli_sname == NULL ? "?" : place.dli_sname));
    }
}

size_t choose_index(unsigned long seed, size_t candidates)
{
    return (size_t)((seed * 0x9e3779b97f4a7c15UL >> 32) % candidates);
}

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
    for (size_t i = 0; i < call_count; i++) {
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
    if (holds(object, (uintptr_t)next[0]) || holds(object, (uintptr_t)&bind_object) ||
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

/* ---- the order ---- */

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

void send_sign(void)
{
    if (sign != 0)
        (void)kill(getpid(), sign);
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
    keep_maps();
    char *rest;
    unsigned long seed = strtoul(order, &rest, 10);
    sign = (int)strtol(rest, NULL, 10);
    object_inject(seed);
    return unused;
}

static void start_thread(void)
{
    bool late = object_is_injected();
    atomic_store(&process, late ? 0 : getpid());
    if (late)
        return;
    sigset_t all, before;
    (void)sigfillset(&all); /* the program's signals are for its own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_go, NULL) == 0)
        (void)pthread_detach(thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void forked(void)
{
    object_forked();
    start_thread();
}

__attribute__((constructor)) static void start(void)
{
    const char *given = getenv("INJECT_DIRECTORY");
    void *frames[4];
    (void)backtrace(frames, 4); /* loads libgcc now, not in an allocation */
    for (size_t i = 0; i < call_count; i++)
        next[i] = (any_call)(uintptr_t)dlsym(RTLD_DEFAULT, calls[i].name);
    /* The shim came up before: it stands later in LD_PRELOAD. */
    if (given == NULL || strlen(given) >= sizeof directory || !object_start()) {
        (void)fputs("injector: no INJECT_DIRECTORY, or no shim\n", stderr);
        return;
    }
    (void)strcpy(directory, given);
    bind_all();
    (void)pthread_atfork(NULL, NULL, forked); /* a server's workers are its children */
    start_thread();
}
