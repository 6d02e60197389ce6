/* Stack: see stack.h. */
#include "registry/stack.h"

#include "base/memory.h"
#include "base/output.h"
#include "base/probe.h"
#include "base/system.h"
#include "patch/patch.h"
#include "registry/thread.h"
#include "registry/unwinder.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

struct unwinder unwinder;

void quiet_begin(struct quiet *quiet)
{
    quiet->error = errno;
    quiet->blocked = false;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &quiet->cancellation);
    quiet->interrupted = guard.unwinding;
    guard.unwinding = quiet;
}

void quiet_end(struct quiet *quiet)
{
    guard.unwinding = quiet->interrupted;
    if (quiet->blocked)
        (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&quiet->mask, 0, 8);
    (void)pthread_setcancelstate(quiet->cancellation, NULL);
    errno = quiet->error;
}

bool stack_keeps_mask(uintptr_t address)
{
    struct quiet *quiet = guard.unwinding;
    if (quiet == NULL || address < unwinder.start || address >= unwinder.end)
        return false;
    if (!quiet->blocked) {
        uint64_t all = ~(UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1));
        (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&quiet->mask, 8);
        quiet->blocked = true;
    }
    return true;
}

bool stack_is_unwinder(uintptr_t address)
{
    return address - unwinder.start < unwinder.end - unwinder.start;
}

/* The kernel reads the set before it looks at an unknown `how` (kernel/signal.c). */
long stack_probe(const void *address)
{
    if (system_call4(SYS_rt_sigprocmask, -1, (long)address, 0, 8) != -EFAULT)
        return 1;
    errno = EFAULT;
    return -1;
}

bool may_unwind(void)
{
    return unwinder.loaded && (guard.thread == NULL || !guard.thread->keeps_libc_signals);
}

bool stack_is_ours(uintptr_t address)
{
    return address >= (uintptr_t)__ehdr_start && address < (uintptr_t)etext;
}

bool stack_is_loader(uintptr_t address)
{
    enum { LARGEST_LOADER = 1 << 20 };
    uintptr_t loader = getauxval(AT_BASE);
    return loader != 0 && address - loader < LARGEST_LOADER;
}

/* What dlclose frees it frees under the lock that libunwind takes (dl_load_write_lock,
 * elf/dl-close.c in glibc), while another thread may unwind and want it: the stack is then that of
 * dlclose. 0: the caller is not in dlclose itself. */
static uint32_t stack_of_unloading(struct caller caller)
{
    const struct thread_block *block = guard.block;
    uint64_t word;
    if (__builtin_expect(block == NULL || block->unloading.slot == 0, 1))
        return 0;
    return block->unloading.slot > caller.slot &&
                   probe_word((const void *)block->unloading.slot, &word) &&
                   word == block->unloading.address && stack_is_loader(caller.address)
               ? block->unloading.stack
               : 0;
}

#define ALLOCATORS 256
static struct {
    uintptr_t start, end;
} allocators[ALLOCATORS];
static size_t allocator_count;

void stack_add_allocator(const void *function, size_t size)
{
    if (function == NULL || allocator_count == ALLOCATORS)
        return;
    allocators[allocator_count].start = (uintptr_t)function;
    allocators[allocator_count].end = (uintptr_t)function + size;
    allocator_count++;
}

bool stack_is_allocator(uintptr_t address)
{
    for (size_t i = 0; i < allocator_count; i++)
        if (address > allocators[i].start && address <= allocators[i].end)
            return true;
    return false;
}

bool in_trampoline(uintptr_t address)
{
    return patch_source(address) != address;
}

/* There is no unwind information for trampolines. A signal may come in one: to unwind from there
 * begins anew, as if it had come at the instruction that the trampoline stands for. */
static bool leave_trampoline(unw_cursor_t *cursor, ucontext_t *context)
{
    static const struct {
        unw_regnum_t from;
        int to;
    } registers[] = {
        {UNW_X86_64_RAX, REG_RAX}, {UNW_X86_64_RDX, REG_RDX}, {UNW_X86_64_RCX, REG_RCX},
        {UNW_X86_64_RBX, REG_RBX}, {UNW_X86_64_RSI, REG_RSI}, {UNW_X86_64_RDI, REG_RDI},
        {UNW_X86_64_RBP, REG_RBP}, {UNW_X86_64_RSP, REG_RSP}, {UNW_X86_64_R8, REG_R8},
        {UNW_X86_64_R9, REG_R9},   {UNW_X86_64_R10, REG_R10}, {UNW_X86_64_R11, REG_R11},
        {UNW_X86_64_R12, REG_R12}, {UNW_X86_64_R13, REG_R13}, {UNW_X86_64_R14, REG_R14},
        {UNW_X86_64_R15, REG_R15}, {UNW_X86_64_RIP, REG_RIP},
    };
    __builtin_memset(context, 0, sizeof *context);
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
        unw_word_t value = 0;
        if (unwinder.get_register(cursor, registers[i].from, &value) != 0)
            return false;
        context->uc_mcontext.gregs[registers[i].to] = (greg_t)value;
    }
    uintptr_t *address = (uintptr_t *)&context->uc_mcontext.gregs[REG_RIP];
    *address = patch_source(*address);
    return unwinder.init_local2(cursor, context, UNW_INIT_SIGNAL_FRAME) == 0;
}

uintptr_t stack_function_start(uintptr_t address)
{
    unw_proc_info_t information = {0};
    struct quiet quiet;
    if (!may_unwind() || unwinder.space == NULL)
        return 0;
    quiet_begin(&quiet);
    int error = unwinder.get_information(unwinder.space, address, &information, NULL);
    quiet_end(&quiet);
    return error == 0 ? information.start_ip : 0;
}

/* From the cursor's frame out, without the shim's own. */
static size_t step_out(unw_cursor_t *cursor, uintptr_t *frames, size_t used, size_t most)
{
    ucontext_t context; /* must live as long as the cursor */
    while (used < most && unwinder.step(cursor) > 0) {
        unw_word_t address = 0;
        if (unwinder.get_register(cursor, UNW_REG_IP, &address) != 0 || address == 0)
            break;
        if (in_trampoline(address)) {
            if (!leave_trampoline(cursor, &context))
                break;
            address = patch_source(address) + 1; /* names are asked for one less */
        }
        if (!stack_is_ours(address))
            frames[used++] = address;
    }
    return used;
}

/* The slow way. Its large frame must not lie on small stacks while libunwind works for the usual
 * one. */
static __attribute__((noinline)) size_t frames_by_steps(struct caller caller, uintptr_t *frames,
                                                        size_t most)
{
    uintptr_t found[STACK_FRAMES];
    unw_context_t context;
    unw_cursor_t cursor;
    size_t count = 0, inner = 0, used = 0;
    if (unwinder.getcontext(&context) == 0 && unwinder.init_local2(&cursor, &context, 0) == 0)
        count = step_out(&cursor, found, 0, most);
    while (inner < count && found[inner] != caller.address)
        inner++; /* libunwind's */
    while (inner < count)
        frames[used++] = found[inner++];
    return used;
}

size_t stack_frames(struct caller caller, uintptr_t *frames, size_t most)
{
    enum { OURS = 12 };
    void *found[STACK_FRAMES + OURS];
    struct quiet quiet;
    struct stack kept;
    size_t used = 0;
    bool trampoline = false;
    if (stack_get(stack_of_unloading(caller), &kept)) {
        for (; used < most && used < kept.count; used++)
            frames[used] = kept.frames[used];
        return used;
    }
    quiet_begin(&quiet);
    int count = may_unwind() ? unwinder.backtrace(found, (int)most + OURS) : 0;
    for (int i = 0; i < count && used < most; i++) {
        trampoline = trampoline || in_trampoline((uintptr_t)found[i]);
        if (found[i] != NULL && !stack_is_ours((uintptr_t)found[i]))
            /* libunwind's own frame comes first: it is above ours on the stack. */
            if (used > 0 || (uintptr_t)found[i] == caller.address)
                frames[used++] = (uintptr_t)found[i];
    }
    if (trampoline)
        used = frames_by_steps(caller, frames, most);
    quiet_end(&quiet);
    if (used == 0)
        frames[used++] = caller.address;
    return used;
}

void stack_capture(struct stack *stack, struct caller caller)
{
    stack->first_is_exact = false;
    stack->count = (uint32_t)stack_frames(caller, stack->frames, STACK_FRAMES);
}

void stack_capture_context(struct stack *stack, const ucontext_t *context)
{
    ucontext_t copy = *context;
    uintptr_t *address = (uintptr_t *)&copy.uc_mcontext.gregs[REG_RIP];
    unw_cursor_t cursor;
    *address = patch_source(*address);
    stack->count = 0;
    stack->first_is_exact = true;
    if (!stack_is_ours(*address)) {
        stack->frames[stack->count++] = *address;
    } else {
        stack->first_is_exact = false;
    }
    if (!unwinder.loaded)
        return;
    struct quiet quiet;
    quiet_begin(&quiet);
    if (unwinder.init_local2(&cursor, &copy, UNW_INIT_SIGNAL_FRAME) == 0)
        stack->count = (uint32_t)step_out(&cursor, stack->frames, stack->count, STACK_FRAMES);
    quiet_end(&quiet);
}

/* The hook's frame begins with its caller's frame pointer: the shim is built to have them. */
void stack_capture_waiting(struct stack *stack, struct caller caller)
{
    ucontext_t context = {0};
    uint64_t frame_pointer = 0;
    uintptr_t above = caller.slot + sizeof(void *);
    (void)probe_word((const void *)(caller.slot - sizeof(void *)), &frame_pointer);
    context.uc_mcontext.gregs[REG_RIP] = (greg_t)caller.address;
    context.uc_mcontext.gregs[REG_RSP] = (greg_t)above;
    context.uc_mcontext.gregs[REG_RBP] = (greg_t)frame_pointer;
    stack->count = 1;
    stack->frames[0] = caller.address;
    if (may_unwind())
        stack_capture_context(stack, &context);
    stack->first_is_exact = false;
}

size_t stack_walk(struct caller caller, uintptr_t *frames, uintptr_t *slots, size_t most,
                  size_t wanted, bool *whole)
{
    *whole = true;
    frames[0] = caller.address;
    slots[0] = caller.slot;
    unw_context_t context;
    unw_cursor_t cursor;
    size_t count = 0;
    struct quiet quiet;
    if (stack_of_unloading(caller) != 0)
        return 1;
    quiet_begin(&quiet);
    if (!may_unwind() || unwinder.getcontext(&context) != 0 ||
        unwinder.init_local2(&cursor, &context, 0) != 0)
        wanted = 0;
    uintptr_t inner = 0;
    for (int steps = 0; steps < 64 && count < most && wanted > 0; steps++) {
        unw_word_t address = 0, pointer = 0;
        if (unwinder.step(&cursor) <= 0 ||
            unwinder.get_register(&cursor, UNW_REG_IP, &address) != 0 || address == 0 ||
            unwinder.get_register(&cursor, UNW_REG_SP, &pointer) != 0)
            break;
        uintptr_t slot = pointer - sizeof(void *);
        if (count == 0 && slot != caller.slot)
            continue; /* still in the shim */
        if (stack_is_ours(address))
            break;
        if (*(const uintptr_t *)slot != address) /* interrupted by a signal: kept in its frame */
            slot = inner + offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]);
        if (*(const uintptr_t *)slot != address || in_trampoline(address)) {
            *whole = false;
            break;
        }
        frames[count] = address;
        slots[count] = slot;
        count++;
        inner = pointer;
        wanted -= !stack_is_allocator(address);
    }
    quiet_end(&quiet);
    return count == 0 ? 1 : count;
}

/* The depot: stacks of any length in one sparse array of words, found again by hash. */
#define DEPOT_WORDS ((size_t)1 << 23)
#define DEPOT_LEAST ((size_t)1 << 16) /* where addresses are few */
#define DEPOT_BUCKETS ((size_t)1 << 15)

struct kept {
    uint64_t hash;
    uint32_t next; /* word number of the next in the bucket */
    uint32_t count;
    uintptr_t frames[];
};

static uint64_t *depot;
static size_t depot_words;
static _Atomic uint32_t *buckets;
static _Atomic uint32_t depot_used = 1;

static bool depot_ready(void)
{
    static _Atomic int state;
    int expected = 0;
    if (atomic_load(&state) == 2)
        return true;
    if (!atomic_compare_exchange_strong(&state, &expected, 1))
        return expected == 2;
    size_t size = DEPOT_WORDS * sizeof *depot;
    depot = memory_map_sparse(&size, DEPOT_LEAST * sizeof *depot);
    depot_words = size / sizeof *depot;
    buckets = memory_map(DEPOT_BUCKETS * sizeof *buckets);
    if (depot == NULL || buckets == NULL) {
        output_tell_once("no memory to keep stacks: reports have fewer of them", NULL);
        return false;
    }
    atomic_store(&state, 2);
    return true;
}

static struct kept *kept_at(uint32_t number)
{
    return (struct kept *)&depot[number];
}

uint32_t stack_keep_frames(const uintptr_t *frames, size_t count)
{
    if (!depot_ready() || count == 0)
        return 0;
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ frames[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 29;
    }
    _Atomic uint32_t *bucket = &buckets[hash % DEPOT_BUCKETS];
    uint32_t head = atomic_load_explicit(bucket, memory_order_acquire);
    for (uint32_t at = head; at != 0; at = kept_at(at)->next)
        if (kept_at(at)->hash == hash && kept_at(at)->count == count)
            return at;
    uint32_t words = (uint32_t)(sizeof(struct kept) / sizeof *depot + count);
    uint32_t number = atomic_fetch_add(&depot_used, words);
    if (number + words > depot_words) {
        atomic_fetch_sub(&depot_used, words);
        output_tell_once("the depot of stacks is full: later objects are told without stacks",
                         NULL);
        return 0;
    }
    struct kept *kept = kept_at(number);
    kept->hash = hash;
    kept->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        kept->frames[i] = frames[i];
    do
        kept->next = head; /* a twin kept at the same moment is harmless */
    while (!atomic_compare_exchange_weak_explicit(bucket, &head, number, memory_order_release,
                                                  memory_order_acquire));
    return number;
}

static bool stands_still(const struct stack_cache_entry *entry)
{
    const struct kept *kept = kept_at(entry->kept);
    uintptr_t page = entry->slot / PAGE_SIZE; /* that can be read */
    uint64_t word;
    for (uint32_t i = 1; i < kept->count; i++) {
        uintptr_t slot = entry->slot + entry->offsets[i];
        /* A smaller stack may lie where a fibre's was. */
        if (slot / PAGE_SIZE != page && !probe_word((const void *)slot, &word))
            return false;
        page = slot / PAGE_SIZE;
        if (*(const uintptr_t *)slot != kept->frames[i])
            return false;
    }
    return true;
}

#define NOT_TO_CACHE UINT32_MAX

static uint32_t capture_and_keep(struct caller caller)
{
    struct stack stack;
    stack_capture(&stack, caller);
    return stack_keep_frames(stack.frames, stack.count);
}

static uint32_t walk_and_cache(struct stack_cache_entry *entry, struct caller caller)
{
    uintptr_t frames[STACK_FRAMES], slots[STACK_FRAMES];
    bool whole;
    size_t count = stack_walk(caller, frames, slots, STACK_FRAMES, STACK_FRAMES, &whole);
    for (size_t i = 1; i < count; i++) /* false where a signal came on another stack */
        whole = whole && slots[i] > slots[0] && slots[i] - slots[0] <= UINT32_MAX;
    if (!whole) {
        entry->kept = NOT_TO_CACHE;
        return capture_and_keep(caller);
    }
    uint32_t kept = stack_keep_frames(frames, count);
    entry->slot = 0; /* a signal handler must not see half an entry */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    for (size_t i = 1; i < count; i++)
        entry->offsets[i] = (uint32_t)(slots[i] - slots[0]);
    entry->kept = kept;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    entry->slot = caller.slot;
    return kept;
}

uint32_t stack_keep(struct caller caller)
{
    if (guard.block == NULL)
        return capture_and_keep(caller);
    if (__builtin_expect(guard.block->unloading.slot != 0, 0) && stack_of_unloading(caller) != 0)
        return guard.block->unloading.stack;
    struct stack_cache *cache = &guard.block->stacks;
    uintptr_t mixed = (caller.address ^ caller.slot >> 3) * UINT64_C(0x9e3779b97f4a7c15);
    struct stack_cache_entry *pair = &cache->entries[mixed >> 59 << 1], *entry = NULL;
    _Static_assert(STACK_CACHE_ENTRIES == 64, "the hash gives five bits, for pairs");
    for (int i = 0; i < 2 && entry == NULL; i++)
        if (pair[i].slot == caller.slot && pair[i].address == caller.address)
            entry = &pair[i];
    if (entry == NULL) {
        entry = &pair[cache->turn++ & 1];
        entry->slot = caller.slot;
        entry->address = caller.address;
        entry->kept = entry->missed = 0;
    } else if (entry->kept != 0 && entry->kept != NOT_TO_CACHE && stands_still(entry)) {
        entry->missed = 0;
        return entry->kept;
    }
    uint32_t kept = capture_and_keep(caller);
    if (entry->kept == NOT_TO_CACHE)
        return kept;
    if (entry->missed == kept)
        return walk_and_cache(entry, caller);
    entry->missed = kept;
    return kept;
}

bool stack_get(uint32_t number, struct stack *stack)
{
    stack->count = 0;
    stack->first_is_exact = false;
    if (number == 0 || depot == NULL)
        return false;
    const struct kept *kept = kept_at(number);
    while (stack->count < kept->count && stack->count < STACK_FRAMES) {
        stack->frames[stack->count] = kept->frames[stack->count];
        stack->count++;
    }
    return stack->count > 0;
}

void stack_stop(void)
{
    unwinder.loaded = false;
}

/* The names that libunwind.h's macros give for x86-64. */
#define UNWINDER_LIBRARY "libunwind.so.8"

static int note_extent(struct dl_phdr_info *info, size_t size, void *inside)
{
    uintptr_t start = UINTPTR_MAX, end = 0;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        start = first < start ? first : start;
        end = first + segment->p_memsz > end ? first + segment->p_memsz : end;
    }
    if ((uintptr_t)inside < start || (uintptr_t)inside >= end)
        return 0;
    unwinder.start = start;
    unwinder.end = end;
    return 1;
}

bool stack_start(void)
{
    (void)depot_ready(); /* now: a fork must not find it half made */
    void *library = dlopen(UNWINDER_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL) {
        const struct {
            void *pointer;
            const char *name;
        } wanted[] = {
            {&unwinder.backtrace, "unw_backtrace"},
            {&unwinder.getcontext, "_Ux86_64_getcontext"},
            {&unwinder.init_local2, "_ULx86_64_init_local2"},
            {&unwinder.step, "_ULx86_64_step"},
            {&unwinder.get_register, "_ULx86_64_get_reg"},
            {&unwinder.get_information, "_ULx86_64_get_proc_info_by_ip"},
        };
        unwinder.loaded = true;
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
            void *symbol = dlsym(library, wanted[i].name);
            __builtin_memcpy(wanted[i].pointer, &symbol, sizeof symbol);
            unwinder.loaded = unwinder.loaded && symbol != NULL;
        }
        void *known = dlsym(library, wanted[0].name);
        (void)dl_iterate_phdr(note_extent, known);
        /* Per-thread caches need no lock: threads do not wait for each other's unwinding. */
        int (*set_policy)(unw_addr_space_t, unw_caching_policy_t) = NULL;
        unw_addr_space_t *space = dlsym(library, "_ULx86_64_local_addr_space");
        void *symbol = dlsym(library, "_ULx86_64_set_caching_policy");
        __builtin_memcpy(&set_policy, &symbol, sizeof symbol);
        if (set_policy != NULL && space != NULL)
            set_policy(*space, UNW_CACHE_PER_THREAD);
        unwinder.space = space == NULL ? NULL : *space;
    }
    if (!unwinder.loaded)
        output_tell_once("cannot load " UNWINDER_LIBRARY
                         " (install Debian's libunwind8): stacks are one frame deep",
                         NULL);
    return unwinder.loaded;
}
