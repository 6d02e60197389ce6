/* Thread: see thread.h. */
#include "registry/thread.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/probe.h"
#include "base/system.h"
#include "base/text.h"
#include "registry/held_lock.h"
#include "registry/task.h"

#include <fcntl.h>

#define SLOTS UINT32_C(32768)
#define FINISHED_KEPT 1024 /* records of finished threads that stay for reports */
#define HANDLE_BUCKETS 1024
#define LIBC_TIMER_SIGNAL 32

__thread struct guard guard;
bool guard_active;

void (*thread_appeared)(void);

static struct lock threads_lock;
static struct thread *threads;
static uint32_t slots_used, serials;
/* Finished threads, oldest first, by slot + 1; linked by next/previous. */
static uint32_t oldest_finished, newest_finished, finished_count;
static uint32_t handles[HANDLE_BUCKETS];
static struct thread_block *blocks[THREAD_BLOCKS_MAXIMUM];
static struct thread_block *free_blocks;
static uint32_t block_count, free_block_count;
static uint32_t tid_offset; /* of the thread id in glibc's struct pthread, 0: not found */
static _Atomic bool some_unseen;

static uint32_t slot_of(const struct thread *thread)
{
    return (uint32_t)(thread - threads);
}

static uint32_t *bucket_of(pthread_t handle)
{
    return &handles[(uintptr_t)handle / 64 % HANDLE_BUCKETS];
}

static void forget_handle(struct thread *thread)
{
    if (!thread->has_handle)
        return;
    for (uint32_t *link = bucket_of(thread->handle); *link != 0; link = &threads[*link - 1].next)
        if (*link == slot_of(thread) + 1) {
            *link = thread->next;
            break;
        }
    thread->has_handle = false;
    thread->next = 0;
}

static void remember_handle(struct thread *thread, pthread_t handle)
{
    if (thread->has_handle)
        return;
    uint32_t *bucket = bucket_of(handle);
    thread->handle = handle;
    thread->has_handle = true;
    thread->next = *bucket;
    *bucket = slot_of(thread) + 1;
}

static void queue_finished(struct thread *thread)
{
    thread->next = 0;
    thread->previous = newest_finished;
    if (newest_finished != 0)
        threads[newest_finished - 1].next = slot_of(thread) + 1;
    else
        oldest_finished = slot_of(thread) + 1;
    newest_finished = slot_of(thread) + 1;
    finished_count++;
}

static struct thread *reuse_oldest(void)
{
    struct thread *thread = &threads[oldest_finished - 1];
    oldest_finished = thread->next;
    if (oldest_finished == 0)
        newest_finished = 0;
    finished_count--;
    return thread;
}

/* A slot for a new thread. Generations in the upper half of the reference tell a reused record. */
static struct thread *new_record(enum thread_origin origin)
{
    struct thread *thread = NULL;
    uint32_t generation = 0;
    if (finished_count > FINISHED_KEPT || (slots_used == SLOTS && finished_count > 0)) {
        thread = reuse_oldest();
        generation = (thread->reference >> 16) + 1;
    } else if (slots_used < SLOTS) {
        thread = &threads[slots_used++];
    } else {
        output_tell_once("more than 32,768 threads at once: the later ones are not watched", NULL);
        return NULL;
    }
    __builtin_memset(thread, 0, sizeof *thread);
    thread->reference = (generation & 0xffff) << 16 | (slot_of(thread) + 1);
    thread->serial = serials++;
    thread->origin = origin;
    thread->start_ticks = clock_ticks();
    return thread;
}

/* A finished thread that was joined, or needs no join, is history. */
static void retire(struct thread *thread)
{
    if (thread->state == THREAD_FINISHED &&
        (thread->joined || thread->detached || thread->origin == THREAD_APPEARED ||
         thread->origin == THREAD_TIMER)) {
        forget_handle(thread);
        queue_finished(thread);
    }
}

static struct thread_block *take_block(void)
{
    struct thread_block *block = free_blocks;
    if (block != NULL) {
        free_blocks = block->next_free;
        free_block_count--;
        return block;
    }
    if (block_count == THREAD_BLOCKS_MAXIMUM) {
        output_tell_once(
            "more than 1,024 threads at once: what the later ones free is not poisoned", NULL);
        return NULL;
    }
    size_t head = ROUND_UP(sizeof *block, PAGE_SIZE);
    char *memory = memory_map(head + PAGE_SIZE + THREAD_SIGNAL_STACK_SIZE);
    if (memory == NULL) {
        output_tell_once("no memory for a thread's tables: what it frees is not poisoned", NULL);
        return NULL;
    }
    (void)memory_protect(memory + head, PAGE_SIZE, 0);
    block = (struct thread_block *)memory;
    block->signal_stack = memory + head + PAGE_SIZE;
    block->number = block_count;
    blocks[block_count++] = block;
    return block;
}

static void give_block(struct thread_block *block)
{
    block->next_free = free_blocks;
    free_blocks = block;
    free_block_count++;
}

void thread_refresh_name(struct thread *thread)
{
    char path[64];
    struct text text = text_in(path, sizeof path);
    text_format(&text, "/proc/self/task/%d/comm", thread->tid);
    long descriptor = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    char name[THREAD_NAME_SIZE + 1] = {0};
    long length = system_read((int)descriptor, name, THREAD_NAME_SIZE);
    (void)system_close((int)descriptor);
    if (length <= 0)
        return;
    name[name[length - 1] == '\n' ? length - 1 : length] = '\0';
    __builtin_memcpy(thread->name, name, THREAD_NAME_SIZE - 1);
}

static void bind_to_caller(struct thread *thread)
{
    thread->tid = system_thread();
    thread->state = THREAD_RUNNING;
    thread->block = take_block();
    guard.thread = thread;
    guard.block = thread->block;
    if (thread->block != NULL) {
        thread->block->reference = thread->reference;
        atomic_store(&thread->block->call.number, 0); /* its last user may have been cancelled */
        thread->block->closes = thread->block->probes = (struct close_run){0};
        held_lock_forget(thread->block);
    }
}

/* glibc's struct pthread, which a handle points to, holds the thread's id, cleared by the kernel at
 * its end; where differs by version. */
static void find_tid_offset(void)
{
    const char *own = (const char *)(uintptr_t)pthread_self();
    const uint32_t first = 256, last = 2048;
    for (uint32_t offset = first; offset < last && tid_offset == 0; offset += 4) {
        uint64_t word;
        if (probe_word(own + offset, &word) && (pid_t)(uint32_t)word == system_thread())
            tid_offset = offset;
    }
}

/* The handle is that of a thread which runs, known to us or not. */
static bool is_live(pthread_t handle)
{
    uint64_t word;
    if (tid_offset == 0)
        find_tid_offset();
    return tid_offset != 0 && probe_word((const char *)(uintptr_t)handle + tid_offset, &word) &&
           (pid_t)(uint32_t)word > 0 && task_is_alive((pid_t)(uint32_t)word);
}

bool thread_start(void)
{
    threads = memory_map(SLOTS * sizeof *threads);
    if (threads == NULL)
        return false;
    struct thread *thread = new_record(THREAD_MAIN);
    bind_to_caller(thread);
    remember_handle(thread, pthread_self());
    thread_refresh_name(thread);
    return thread->block != NULL;
}

struct thread *thread_current(void)
{
    if (__builtin_expect(guard.thread != NULL, 1))
        return guard.thread;
    lock_take(&threads_lock);
    struct thread *thread = new_record(THREAD_APPEARED);
    if (thread != NULL) {
        uint64_t mask = 0;
        (void)system_call4(SYS_rt_sigprocmask, 0, 0, (long)&mask, 8);
        thread->keeps_libc_signals = (mask >> (LIBC_TIMER_SIGNAL - 1) & 1) != 0;
        bind_to_caller(thread);
        remember_handle(thread, pthread_self());
    }
    lock_release(&threads_lock);
    if (thread != NULL) {
        thread_refresh_name(thread);
        if (thread_appeared != NULL)
            thread_appeared();
    }
    return thread;
}

struct thread *thread_of_caller(void)
{
    pid_t tid = system_thread();
    if (guard.thread == NULL || guard.thread->tid == tid || tid < 0)
        return thread_current();
    struct thread *thread = thread_of_tid(tid);
    if (thread != NULL)
        return thread;
    lock_take(&threads_lock);
    thread = new_record(THREAD_APPEARED);
    if (thread != NULL) {
        thread->tid = tid;
        thread->state = THREAD_RUNNING;
    }
    lock_release(&threads_lock);
    return thread;
}

struct thread *thread_create(void *entry, void *argument, uint32_t start_stack,
                             enum thread_origin origin)
{
    struct thread *creator = thread_current();
    lock_take(&threads_lock);
    struct thread *thread = new_record(origin);
    if (thread != NULL) {
        thread->state = THREAD_STARTING;
        thread->entry = entry;
        thread->argument = argument;
        thread->start_stack = start_stack;
        thread->creator = creator == NULL ? 0 : creator->reference;
        if (creator != NULL)
            __builtin_memcpy(thread->name, creator->name, sizeof thread->name);
    }
    lock_release(&threads_lock);
    return thread;
}

void thread_failed(struct thread *thread)
{
    lock_take(&threads_lock);
    thread->state = THREAD_FINISHED;
    thread->detached = true;
    retire(thread);
    lock_release(&threads_lock);
}

void thread_begin(struct thread *thread)
{
    lock_take(&threads_lock);
    bind_to_caller(thread);
    remember_handle(thread, pthread_self());
    lock_release(&threads_lock);
}

void thread_set_handle(struct thread *thread, pthread_t handle)
{
    lock_take(&threads_lock);
    if (thread->state == THREAD_STARTING)
        remember_handle(thread, handle);
    lock_release(&threads_lock);
}

void thread_ending(enum thread_ending ending)
{
    if (guard.thread != NULL)
        guard.thread->ending = ending;
}

void thread_end(bool keep_block)
{
    struct thread *thread = guard.thread;
    if (thread == NULL)
        return;
    lock_take(&threads_lock);
    thread->end_ticks = clock_ticks();
    thread->state = THREAD_FINISHED;
    if (thread->block != NULL && !keep_block)
        give_block(thread->block);
    thread->block = NULL;
    guard.block = NULL;
    retire(thread);
    lock_release(&threads_lock);
    /* The record may be reused from here on: hooks that still run pass through for good. */
    guard.thread = NULL;
    guard_set(GUARD_FOR_GOOD);
}

struct thread *thread_of_handle(pthread_t handle)
{
    struct thread *found = NULL;
    lock_take(&threads_lock);
    for (uint32_t at = *bucket_of(handle); at != 0; at = threads[at - 1].next)
        if (pthread_equal(threads[at - 1].handle, handle)) {
            found = &threads[at - 1];
            break;
        }
    lock_release(&threads_lock);
    return found;
}

void thread_created_unseen(void)
{
    atomic_store(&some_unseen, true);
}

bool thread_of_ended_handle(pthread_t handle, struct thread *copy)
{
    const struct thread *found = NULL;
    if (atomic_load(&some_unseen))
        return false;
    lock_take(&threads_lock);
    for (uint32_t at = oldest_finished; at != 0; at = threads[at - 1].next)
        if (threads[at - 1].handle != 0 && pthread_equal(threads[at - 1].handle, handle))
            found = &threads[at - 1];
    if (found != NULL)
        *copy = *found;
    lock_release(&threads_lock);
    return found != NULL && found->origin == THREAD_CREATED && (copy->joined || copy->detached) &&
           (copy->joined || !task_is_alive(copy->tid)) && !is_live(handle);
}

void thread_joining(struct thread *thread, uint32_t stack)
{
    lock_take(&threads_lock);
    thread->joining = true;
    thread->join_stack = stack;
    thread->joiner = guard.thread == NULL ? 0 : guard.thread->reference;
    lock_release(&threads_lock);
}

void thread_join_ended(struct thread *thread, bool ok)
{
    lock_take(&threads_lock);
    thread->joining = false;
    if (ok && !thread->joined) {
        thread->joined = true;
        thread->joined_ticks = clock_ticks();
        thread->joiner = guard.thread == NULL ? 0 : guard.thread->reference;
        retire(thread);
    }
    lock_release(&threads_lock);
}

void thread_detached(struct thread *thread, uint32_t stack)
{
    lock_take(&threads_lock);
    if (!thread->detached) {
        thread->detached = true;
        thread->detach_stack = stack;
        thread->detacher = guard.thread == NULL ? 0 : guard.thread->reference;
        thread->detached_ticks = clock_ticks();
        retire(thread);
    }
    lock_release(&threads_lock);
}

void thread_cancelled(struct thread *thread)
{
    lock_take(&threads_lock);
    thread->cancel_ticks = clock_ticks();
    thread->canceller = guard.thread == NULL ? 0 : guard.thread->reference;
    lock_release(&threads_lock);
}

struct thread *thread_of_reference(thread_reference reference)
{
    uint32_t slot = (reference & 0xffff) - 1;
    if (reference == 0 || slot >= SLOTS || threads[slot].reference != reference)
        return NULL;
    return &threads[slot];
}

struct thread *thread_of_tid(pid_t tid)
{
    for (uint32_t slot = 0; slot < thread_slots(); slot++)
        if (threads[slot].state == THREAD_RUNNING && threads[slot].tid == tid)
            return &threads[slot];
    return NULL;
}

uint32_t thread_slots(void)
{
    return slots_used;
}

struct thread *thread_slot(uint32_t slot)
{
    return &threads[slot];
}

uint32_t thread_count(void)
{
    return serials;
}

void thread_prepare_fork(void)
{
    lock_before_fork(&threads_lock);
}

/* The other threads do not exist in the child; their blocks may hold a half-made change and are
 * never used again. */
void thread_forked(bool child)
{
    if (child) {
        for (uint32_t slot = 0; slot < slots_used; slot++) {
            struct thread *thread = &threads[slot];
            if (thread == guard.thread || thread->state == THREAD_UNUSED ||
                thread->state == THREAD_FINISHED)
                continue;
            thread->state = THREAD_FINISHED;
            thread->end_ticks = clock_ticks();
            thread->block = NULL;
            thread->detached = true;
            retire(thread);
        }
        /* The child may still hand them to libc, to drop its objects. */
        for (uint32_t slot = 0; slot < slots_used; slot++)
            if (threads[slot].state == THREAD_FINISHED && !threads[slot].has_handle)
                threads[slot].handle = 0;
        if (guard.thread != NULL)
            guard.thread->tid = system_thread();
        if (guard.block != NULL)
            held_lock_forget(guard.block); /* what the parent's thread holds is not the child's */
    }
    lock_after_fork(&threads_lock, child);
}

void thread_totals(uint64_t *allocations, uint64_t *frees)
{
    *allocations = *frees = 0;
    for (uint32_t i = 0; i < block_count; i++) {
        *allocations += blocks[i]->allocations - blocks[i]->skipped;
        *frees += blocks[i]->frees;
    }
}

struct thread_block *thread_block_of_number(uint32_t number)
{
    return number < block_count ? blocks[number] : NULL;
}
