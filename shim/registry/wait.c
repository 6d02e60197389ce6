/* Wait: see wait.h. */
#include "registry/wait.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/system.h"
#include "registry/task.h"

bool wait_keeps_all;

/* The last signals, each at the place that its address falls on. A torn entry names the wrong
 * thread of two that signal at once. */
#define SIGNALS 1024
static struct signal_note {
    uintptr_t address;
    uint64_t ticks;
    thread_reference thread;
} notes[SIGNALS];

static struct signal_note *note_of(uintptr_t address)
{
    return &notes[address / 16 % SIGNALS];
}

static void write_note(struct thread_wait *wait, struct thread_wait note, uint32_t what)
{
    atomic_store_explicit(&wait->what, WAIT_NONE, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* no field of it changes before */
    note.what = WAIT_NONE;
    *wait = note;
    atomic_store_explicit(&wait->what, what, memory_order_release);
}

static struct thread_wait *begin(struct thread_wait *before, struct thread_wait note,
                                 enum wait_for what)
{
    struct thread_block *block = guard.block;
    if (block == NULL || guard.inside != 0)
        return NULL;
    *before = block->wait;
    note.ticks = clock_ticks();
    if (wait_keeps_all && guard_enter()) {
        note.stack = stack_keep((struct caller){note.caller, note.slot});
        guard_leave();
    }
    write_note(&block->wait, note, (uint32_t)what);
    return &block->wait;
}

struct thread_wait *wait_begin(struct thread_wait *before, enum wait_for what, const char *function,
                               const void *address, const void *mutex, struct caller caller)
{
    return begin(before,
                 (struct thread_wait){.function = function,
                                      .address = (uintptr_t)address,
                                      .mutex = (uintptr_t)mutex,
                                      .caller = caller.address,
                                      .slot = caller.slot},
                 what);
}

struct thread_wait *wait_begin_join(struct thread_wait *before, pthread_t handle,
                                    thread_reference target, bool has_end, const char *function,
                                    struct caller caller)
{
    return begin(before,
                 (struct thread_wait){.function = function,
                                      .address = (uintptr_t)handle,
                                      .target = target,
                                      .has_end = has_end,
                                      .caller = caller.address,
                                      .slot = caller.slot},
                 WAIT_THREAD);
}

void wait_restore(struct thread_wait *wait, const struct thread_wait *before)
{
    write_note(wait, *before, before->what);
}

void wait_note_signal_slow(const void *address)
{
    struct thread_block *block = guard.block;
    if (block == NULL)
        return;
    *note_of((uintptr_t)address) =
        (struct signal_note){(uintptr_t)address, clock_ticks(), block->reference};
}

/* Sizes of glibc's objects (bits/pthreadtypes-arch.h), and of the start of struct pthread, in which
 * the word lies that the kernel clears at a thread's end. */
static uintptr_t size_of(enum wait_for what)
{
    return what == WAIT_THREAD ? 4096 : 64;
}

static bool is_in(const struct task_call *call, uintptr_t address, uintptr_t size)
{
    return address != 0 && call->arguments[0] - address < size;
}

static thread_reference holder_of(uintptr_t lock, uintptr_t offset)
{
    uint64_t word;
    const struct thread *holder = NULL;
    if (probe_word((const void *)(lock + offset), &word) && (int32_t)word > 0)
        holder = thread_of_tid((pid_t)(int32_t)word);
    return holder == NULL ? 0 : holder->reference;
}

/* glibc's struct __pthread_mutex_s has its owner in the third word, its struct
 * __pthread_rwlock_arch_t the writer in the seventh. */
#define MUTEX_OWNER 8
#define RWLOCK_WRITER 24

static void find_holder(struct waiting *waiting, const struct task_call *call)
{
    const struct thread_wait *note = &waiting->note;
    switch ((enum wait_for)note->what) {
    case WAIT_THREAD:
        waiting->holder = note->target;
        break;
    case WAIT_MUTEX:
        waiting->lock = note->address;
        waiting->holder = holder_of(note->address, MUTEX_OWNER);
        break;
    case WAIT_RWLOCK:
        waiting->lock = note->address;
        waiting->holder = holder_of(note->address, RWLOCK_WRITER);
        break;
    case WAIT_CONDITION:
        if (note->mutex != 0 && call->arguments[0] == note->mutex) { /* signalled, and now this */
            waiting->lock = note->mutex;
            waiting->holder = holder_of(note->mutex, MUTEX_OWNER);
            break;
        }
        __attribute__((fallthrough));
    case WAIT_SEMAPHORE: {
        struct signal_note *signal = note_of(note->address);
        if (signal->address == note->address) {
            waiting->signaller = signal->thread;
            waiting->signal_ticks = signal->ticks;
        }
        break;
    }
    default: /* a barrier knows nobody who is missing */
        break;
    }
}

static bool is_poll(long number)
{
    return number == SYS_poll || number == SYS_ppoll || number == SYS_select ||
           number == SYS_pselect6;
}

static bool waits_for_descriptor(const struct thread *thread, struct waiting *waiting)
{
    const struct thread_call note = thread->block->call;
    struct task_call call;
    if (note.number == 0 || task_state(thread->tid, &call) != TASK_SLEEPS)
        return false;
    bool several = note.number == THREAD_CALL_SETS;
    if (several ? !is_poll(call.number) : note.number != call.arguments[0] + 1)
        return false;
    waiting->note = (struct thread_wait){.what = several ? WAIT_DESCRIPTORS : WAIT_DESCRIPTOR,
                                         .function = note.function,
                                         .address = call.arguments[0],
                                         .caller = note.address,
                                         .slot = note.slot};
    return true;
}

#define TRIES 8 /* a tenth of a second in all */

bool wait_of(const struct thread *thread, struct waiting *waiting)
{
    const struct thread_block *block = thread->block;
    struct task_call call;
    __builtin_memset(waiting, 0, sizeof *waiting);
    if (block == NULL || thread->state != THREAD_RUNNING)
        return false;
    /* A wait of the shim's hooks is cut into pieces: between them the thread seems to run, for as
     * long as others have the processors. */
    for (int tries = 0; tries < TRIES; tries++) {
        if (tries > 0)
            system_sleep_ms(1L << (tries - 1));
        waiting->note = block->wait;
        if (waiting->note.what == WAIT_NONE)
            break;
        enum task_state state = task_state(thread->tid, &call);
        if (state == TASK_UNKNOWN)
            call = (struct task_call){.number = SYS_futex, .arguments = {waiting->note.address}};
        bool really = state == TASK_UNKNOWN ||
                      (state == TASK_SLEEPS && call.number == SYS_futex &&
                       (is_in(&call, waiting->note.address, size_of(waiting->note.what)) ||
                        is_in(&call, waiting->note.mutex, size_of(WAIT_MUTEX))));
        if (really && block->wait.ticks == waiting->note.ticks) {
            find_holder(waiting, &call);
            return true;
        }
        if (state == TASK_SLEEPS && call.number != SYS_futex)
            break; /* long gone from there */
    }
    waiting->note.what = WAIT_NONE;
    return waits_for_descriptor(thread, waiting);
}

size_t wait_chain(const struct thread *thread, struct waiting *chain, thread_reference *threads,
                  size_t most, size_t *cycle)
{
    size_t count = 0;
    while (thread != NULL && count < most) {
        for (size_t i = 0; i < count; i++)
            if (threads[i] == thread->reference) {
                *cycle = i;
                return count;
            }
        threads[count] = thread->reference;
        bool waits = wait_of(thread, &chain[count]);
        count++;
        if (!waits)
            break;
        thread = thread_of_reference(chain[count - 1].holder);
    }
    *cycle = count;
    return count;
}
