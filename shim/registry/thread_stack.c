/* Thread stack: see thread_stack.h. */
#include "registry/thread_stack.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define DEAD_BYTES ((size_t)1 << 30)      /* of addresses, for all dead stacks */
#define LIBC_ALIGNMENT ((size_t)64)       /* to which libc rounds sizes down: TCB_ALIGNMENT */
#define STACK_LEAST ((size_t)16384)       /* PTHREAD_STACK_MIN; libc itself may want more */
#define PADDED_LEAST ((size_t)256 * 1024) /* a stack of that size does not miss a page */
#define LEAVING_NANOSECONDS UINT64_C(10000000000)

_Atomic uint32_t thread_stacks_leaving;

static struct lock stacks_lock;
static struct thread_stack *stacks; /* NULL: none are lent */
static _Atomic uint32_t stacks_used;
static uint64_t most_dead, last_order;
static size_t most_bytes;
static uint32_t dead_count;
static size_t dead_bytes;
static bool keep_content, guard_is_inside;

#pragma weak gnu_get_libc_version /* see start.c: other libcs load the shim, too, to be told */

/* Until glibc 2.26 a stack's size included its guard (glibc bug 22637). */
static bool libc_before_2_27(void)
{
    const char *version = gnu_get_libc_version();
    uint32_t minor = 0;
    if (version[0] != '2' || version[1] != '.')
        return false;
    for (const char *at = version + 2; *at >= '0' && *at <= '9'; at++)
        minor = minor * 10 + (uint32_t)(*at - '0');
    return minor < 27;
}

bool thread_stack_start(uint64_t most, bool keep)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (most == 0)
        return false;
    most_dead = most;
    most_bytes = DEAD_BYTES;
    (void)system_call4(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit);
    if (limit.rlim_cur / 16 < most_bytes)
        most_bytes = limit.rlim_cur / 16;
    keep_content = keep;
    guard_is_inside = libc_before_2_27();
    stacks = memory_map(THREAD_STACKS * sizeof *stacks);
    if (stacks == NULL)
        output_tell_once("no memory for the table of thread stacks: those of finished threads are "
                         "not kept",
                         NULL);
    return stacks != NULL;
}

bool thread_stack_keeps_content(void)
{
    return keep_content;
}

static void set_state(struct thread_stack *stack, enum thread_stack_state state)
{
    atomic_fetch_add(&stack->generation, 1);
    atomic_store(&stack->state, state);
}

static struct thread_stack *oldest_dead(void)
{
    struct thread_stack *oldest = NULL;
    for (uint32_t i = 0; i < stacks_used; i++)
        if (atomic_load(&stacks[i].state) == THREAD_STACK_DEAD &&
            (oldest == NULL || stacks[i].order < oldest->order))
            oldest = &stacks[i];
    return oldest;
}

static void take_from_dead(struct thread_stack *stack, enum thread_stack_state state)
{
    dead_count--;
    dead_bytes -= stack->size;
    set_state(stack, state);
}

static void drop(struct thread_stack *stack)
{
    memory_unmap((void *)stack->start, stack->size);
}

static struct thread_stack *free_record(void)
{
    uint32_t used = atomic_load(&stacks_used);
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load(&stacks[i].state) == THREAD_STACK_UNUSED)
            return &stacks[i];
    if (used == THREAD_STACKS)
        return NULL;
    atomic_store(&stacks_used, used + 1);
    return &stacks[used];
}

static bool open_stack(struct thread_stack *stack)
{
    stack->dead_to = 0;
    return memory_protect((void *)(stack->start + stack->guard_size),
                          stack->size - stack->guard_size, PROT_READ | PROT_WRITE);
}

static bool fits(const struct thread_stack *stack, const struct thread_stack *wanted)
{
    return stack->size == wanted->size && stack->guard_size == wanted->guard_size &&
           stack->top - stack->start == wanted->top;
}

/* One that is mapped already: nobody's, or the oldest dead where there are enough. */
static struct thread_stack *used_one(const struct thread_stack *wanted)
{
    for (uint32_t i = 0; i < stacks_used; i++)
        if (atomic_load(&stacks[i].state) == THREAD_STACK_IDLE && fits(&stacks[i], wanted) &&
            open_stack(&stacks[i]))
            return &stacks[i];
    struct thread_stack *oldest = oldest_dead();
    if (oldest == NULL || (dead_count < most_dead && dead_bytes + wanted->size <= most_bytes) ||
        !fits(oldest, wanted) || !open_stack(oldest))
        return NULL;
    take_from_dead(oldest, THREAD_STACK_IDLE);
    return oldest;
}

/* As libc maps its own (nptl/allocatestack.c, allocate_stack). */
static struct thread_stack *new_one(const struct thread_stack *wanted)
{
    struct thread_stack *stack = free_record();
    if (stack == NULL)
        return NULL;
    long start = system_call6(SYS_mmap, 0, (long)wanted->size, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (start < 0 && start > -4096)
        return NULL;
    stack->start = (uintptr_t)start;
    stack->size = wanted->size;
    stack->guard_size = wanted->guard_size;
    stack->first = stack->start + wanted->first;
    stack->top = stack->start + wanted->top;
    if (!open_stack(stack)) {
        drop(stack);
        return NULL;
    }
    return stack;
}

struct thread_stack *thread_stack_lend(struct thread *thread, size_t size, size_t guard_size)
{
    size_t guard_pages = ROUND_UP(guard_size, PAGE_SIZE);
    size &= ~(LIBC_ALIGNMENT - 1);
    if (stacks == NULL || most_dead == 0 || guard_pages < guard_size || size > DEAD_BYTES ||
        guard_pages > DEAD_BYTES || size < STACK_LEAST ||
        (guard_is_inside && size < guard_pages + STACK_LEAST))
        return NULL;
    struct thread_stack wanted = {.guard_size = guard_pages,
                                  .first = guard_pages,
                                  .top = guard_is_inside ? size : guard_pages + size};
    wanted.size = ROUND_UP(wanted.top, PAGE_SIZE);
    if (wanted.size > most_bytes)
        return NULL;
    lock_take(&stacks_lock);
    struct thread_stack *stack = used_one(&wanted);
    if (stack == NULL)
        stack = new_one(&wanted);
    if (stack != NULL) {
        stack->created = stack->ended = stack->gone = false;
        stack->leaving = stack->given_up = false;
        stack->released = thread->detached;
        atomic_store(&stack->opened, false);
        stack->entered = stack->top;
        stack->end_stack = stack->join_stack = 0;
        stack->frame_count = 0;
        __builtin_memcpy(&stack->owner, thread, sizeof stack->owner);
        set_state(stack, THREAD_STACK_LENT);
        thread->stack = stack;
    }
    lock_release(&stacks_lock);
    return stack;
}

/* In one step, so that no thread reads zeros there meanwhile. Near the limit on mappings that is
 * refused, and what joins the guard is not. */
static bool take_away(struct thread_stack *stack, uintptr_t to)
{
    size_t size = ROUND_UP(to, PAGE_SIZE) - stack->start;
    long result = -1;
    if (!keep_content)
        result = system_call6(SYS_mmap, (long)stack->start, (long)size, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_FIXED, -1, 0);
    if (result != (long)stack->start) {
        if (!memory_protect((void *)stack->start, size, PROT_NONE))
            return false;
        if (!keep_content)
            (void)memory_discard((void *)stack->start, size);
    }
    stack->dead_to = to;
    atomic_store(&stack->opened, false);
    return true;
}

static void drop_oldest(void)
{
    struct thread_stack *oldest = oldest_dead();
    take_from_dead(oldest, THREAD_STACK_UNUSED);
    drop(oldest);
}

static void stop_leaving(struct thread_stack *stack)
{
    if (stack->leaving)
        atomic_fetch_sub(&thread_stacks_leaving, 1);
    stack->leaving = false;
}

static void bury(struct thread_stack *stack)
{
    stop_leaving(stack);
    if (!take_away(stack, stack->top)) {
        set_state(stack, THREAD_STACK_UNUSED); /* and stays where it is */
        return;
    }
    stack->order = ++last_order;
    dead_count++;
    dead_bytes += stack->size;
    set_state(stack, THREAD_STACK_DEAD);
    while (dead_count > most_dead || dead_bytes > most_bytes)
        drop_oldest();
}

/* Signal 0 asks whether the thread is there. Its id may have become another thread's of the
 * process: then it is asked in vain for a while. */
static bool has_left_kernel(const struct thread_stack *stack)
{
    return system_call3(SYS_tgkill, system_process(), stack->owner.tid, 0) == -ESRCH;
}

/* Some thread is in a call on the owner's handle. */
static bool is_asked(const struct thread_stack *stack)
{
    const struct thread_block *block;
    for (uint32_t i = 0; (block = thread_block_of_number(i)) != NULL; i++)
        if (atomic_load(&block->asks) == (uintptr_t)stack->owner.handle)
            return true;
    return false;
}

static void start_leaving(struct thread_stack *stack)
{
    if (stack->leaving)
        return;
    stack->leaving = true;
    stack->left_ticks = clock_ticks();
    atomic_fetch_add(&thread_stacks_leaving, 1);
}

/* With the lock. */
static void settle(struct thread_stack *stack)
{
    if (atomic_load(&stack->state) != THREAD_STACK_LENT || !stack->created)
        return;
    if (stack->gone) {
        if (is_asked(stack))
            start_leaving(stack);
        else
            bury(stack);
        return;
    }
    uintptr_t frames_end = stack->entered & ~(PAGE_SIZE - 1);
    if (!stack->ended || stack->given_up ||
        (!stack->released && (stack->dead_to != 0 || frames_end <= stack->first)))
        return;
    if (has_left_kernel(stack) && !is_asked(stack)) {
        stop_leaving(stack);
        if (stack->released)
            bury(stack);
        else if (!take_away(stack, frames_end))
            stack->given_up = true; /* its join is what is left */
    } else if (!stack->leaving) {
        start_leaving(stack);
    } else if (clock_nanoseconds_between(stack->left_ticks, clock_ticks()) > LEAVING_NANOSECONDS) {
        stop_leaving(stack); /* it stays lent for good, or until it is joined */
        stack->given_up = true;
    }
}

void thread_stack_created(struct thread_stack *stack, bool made)
{
    lock_take(&stacks_lock);
    stack->created = true;
    if (made) {
        settle(stack);
    } else {
        drop(stack);
        set_state(stack, THREAD_STACK_UNUSED);
    }
    lock_release(&stacks_lock);
}

size_t thread_stack_padding(uintptr_t pointer)
{
    enum { CALL = 64 }; /* what the call itself, and the rounding of the padding, may need */
    const struct thread_stack *stack = guard.thread == NULL ? NULL : guard.thread->stack;
    size_t above = pointer % PAGE_SIZE;
    return stack == NULL || stack->top - stack->first < PADDED_LEAST || above < CALL ? 0
                                                                                     : above - CALL;
}

void thread_stack_entered(uintptr_t frame)
{
    if (guard.thread != NULL && guard.thread->stack != NULL)
        guard.thread->stack->entered = frame;
}

void thread_stack_exits(struct caller caller)
{
    struct thread_stack *stack = guard.thread == NULL ? NULL : guard.thread->stack;
    bool whole;
    if (stack == NULL)
        return;
    stack->end_stack = stack_keep(caller);
    stack->frame_count = stack_walk(caller, stack->frames, stack->slots, THREAD_STACK_FRAMES,
                                    THREAD_STACK_FRAMES, &whole);
}

void thread_stack_ended(void)
{
    struct thread *thread = guard.thread;
    if (thread == NULL || thread->stack == NULL)
        return;
    struct thread_stack *stack = thread->stack;
    lock_take(&stacks_lock);
    __builtin_memcpy(&stack->owner, thread, sizeof stack->owner);
    stack->owner.end_ticks = clock_ticks();
    stack->ended = true;
    settle(stack); /* from now on it is waited for */
    lock_release(&stacks_lock);
}

void thread_stack_joined(struct thread_stack *stack, uint32_t join_stack)
{
    lock_take(&stacks_lock);
    stack->join_stack = join_stack;
    stack->owner.joined_ticks = clock_ticks();
    stack->owner.joiner = guard.thread == NULL ? 0 : guard.thread->reference;
    stack->gone = true;
    settle(stack);
    lock_release(&stacks_lock);
}

void thread_stack_detached(struct thread_stack *stack)
{
    lock_take(&stacks_lock);
    stack->released = true;
    settle(stack);
    lock_release(&stacks_lock);
}

void thread_stack_look(void)
{
    if (!lock_try(&stacks_lock))
        return;
    for (uint32_t i = 0; i < stacks_used && atomic_load(&thread_stacks_leaving) > 0; i++)
        if (stacks[i].leaving)
            settle(&stacks[i]);
    lock_release(&stacks_lock);
}

struct thread_stack *thread_stack_find(uintptr_t address, struct thread_stack *copy)
{
    for (uint32_t i = 0; i < stacks_used; i++) {
        struct thread_stack *stack = &stacks[i];
        uint32_t generation = atomic_load(&stack->generation);
        uint32_t state = atomic_load(&stack->state);
        if ((state != THREAD_STACK_DEAD && state != THREAD_STACK_LENT) || address < stack->first ||
            address >= stack->dead_to)
            continue;
        __builtin_memcpy(copy, stack, sizeof *copy);
        return atomic_load(&stack->generation) == generation ? stack : NULL;
    }
    return NULL;
}

bool thread_stack_is_dead(uintptr_t address)
{
    struct thread_stack copy;
    return thread_stack_find(address, &copy) != NULL && !atomic_load(&copy.opened);
}

bool thread_stack_reopen(struct thread_stack *stack)
{
    if (!keep_content)
        return false;
    uintptr_t first = stack->start + stack->guard_size;
    atomic_store(&stack->opened, true);
    return memory_protect((void *)first, ROUND_UP(stack->dead_to, PAGE_SIZE) - first,
                          PROT_READ | PROT_WRITE);
}

/* The main thread's stack tells, by its line in the map (proc(5)). */
static bool main_stack_is_executable(void)
{
    char line[128], next = 0;
    size_t length = 0;
    bool executable = false;
    long file = system_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return false;
    while (!executable && system_read((int)file, &next, 1) == 1) {
        if (length < sizeof line - 1)
            line[length++] = next;
        if (next != '\n')
            continue;
        line[length] = '\0';
        length = 0;
        executable = text_find(line, "[stack]") != NULL && text_find(line, " rwxp ") != NULL;
    }
    (void)system_close((int)file);
    return executable;
}

bool thread_stack_make_executable(uintptr_t address)
{
    for (uint32_t i = 0; i < stacks_used; i++) {
        struct thread_stack *stack = &stacks[i];
        if (atomic_load(&stack->state) == THREAD_STACK_LENT && stack->dead_to == 0 &&
            address >= stack->first && address < stack->top)
            return main_stack_is_executable() &&
                   memory_protect((void *)(stack->start + stack->guard_size),
                                  stack->size - stack->guard_size,
                                  PROT_READ | PROT_WRITE | PROT_EXEC);
    }
    return false;
}

void thread_stack_stop(void)
{
    if (stacks == NULL)
        return;
    lock_take(&stacks_lock);
    most_dead = 0;
    while (dead_count > 0)
        drop_oldest();
    lock_release(&stacks_lock);
}

void thread_stack_prepare_fork(void)
{
    lock_before_fork(&stacks_lock);
}

/* What other threads left on their stacks stays where it is: the child may use it. */
void thread_stack_forked(bool child)
{
    for (uint32_t i = 0; child && i < stacks_used; i++) {
        struct thread_stack *stack = &stacks[i];
        if (atomic_load(&stack->state) == THREAD_STACK_LENT &&
            (guard.thread == NULL || guard.thread->stack != stack)) {
            stop_leaving(stack);
            set_state(stack, THREAD_STACK_IDLE);
        }
    }
    lock_after_fork(&stacks_lock, child);
}
