/* Held: findings about descriptors that wait for what their thread does next. Whether a close is a
 * mistake, or part of a loop that closes every number, only the next closes tell; whether a thread
 * that asked for a closed number minds the answer, its abort. What waits is told at the thread's
 * next call that waits or opens, at its end, at exit, or when the program crashes. */
#include "event/descriptor_internal.h"

#include "base/memory.h"

enum held_state { HELD_NONE, HELD_CLOSE, HELD_PROBE, HELD_TAKEN };

static struct held {
    struct finding finding; /* HELD_CLOSE */
    /* HELD_PROBE */
    struct touch touch;
    struct descriptor_touch descriptor;
    uint64_t ticks;
    bool silent;
} * held;

bool held_start(void)
{
    held = memory_map(THREAD_BLOCKS_MAXIMUM * sizeof *held);
    return held != NULL;
}

static struct held *take(struct thread_block *block, uint32_t *state)
{
    *state = atomic_load(&block->held);
    if (*state == HELD_NONE || *state == HELD_TAKEN ||
        !atomic_compare_exchange_strong(&block->held, state, HELD_TAKEN))
        return NULL;
    return &held[block->number];
}

static void conclude(struct thread_block *block)
{
    uint32_t state;
    struct held *waiting = take(block, &state);
    if (waiting == NULL)
        return;
    if (state == HELD_CLOSE && !close_run_is_loop(&block->closes)) {
        tell_descriptor(&waiting->finding);
    } else if (state == HELD_PROBE && !waiting->silent && !close_run_is_loop(&block->probes)) {
        detect_use_after_close(&waiting->finding, &waiting->touch, &waiting->descriptor, true,
                               false);
        waiting->finding.touch.ticks = waiting->ticks;
        tell_descriptor(&waiting->finding);
    }
    atomic_store(&block->held, HELD_NONE);
}

static struct held *place(void)
{
    struct thread_block *block = guard.block;
    uint32_t none = HELD_NONE;
    if (block == NULL || !atomic_compare_exchange_strong(&block->held, &none, HELD_TAKEN))
        return NULL;
    return &held[block->number];
}

void held_put_close(const struct finding *finding)
{
    struct thread_block *block = guard.block;
    if (block != NULL && atomic_load(&block->held) == HELD_CLOSE &&
        held[block->number].finding.grade >= finding->grade)
        return; /* of the same run: one is enough */
    if (block != NULL && atomic_load(&block->held) == HELD_CLOSE)
        atomic_store(&block->held, HELD_NONE);
    struct held *own = place();
    if (own == NULL)
        return;
    own->finding = *finding;
    atomic_store(&block->held, HELD_CLOSE);
}

void held_put_probe(const struct touch *touch, const struct descriptor_touch *descriptor,
                    bool silent)
{
    struct held *own = place();
    if (own == NULL)
        return;
    own->touch = *touch;
    own->descriptor = *descriptor;
    own->silent = silent;
    own->ticks = clock_ticks();
    atomic_store(&guard.block->held, HELD_PROBE);
}

static void conclude_unless(enum held_state state, bool continues)
{
    struct thread_block *block = guard.block;
    if (block != NULL && atomic_load(&block->held) != HELD_NONE &&
        (atomic_load(&block->held) != (uint32_t)state || !continues))
        conclude(block);
}

/* A thread that asks for a number and then closes it a second time made one mistake. */
void held_before_close(int number, struct caller caller)
{
    struct thread_block *block = guard.block;
    uint32_t state;
    if (block == NULL)
        return;
    if (atomic_load(&block->held) == HELD_PROBE &&
        held[block->number].descriptor.number == number && take(block, &state) != NULL)
        atomic_store(&block->held, HELD_NONE);
    conclude_unless(HELD_CLOSE, close_run_continues(&block->closes, number, caller.address));
}

void held_before_probe(int number, struct caller caller)
{
    if (guard.block != NULL)
        conclude_unless(HELD_PROBE,
                        close_run_continues(&guard.block->probes, number, caller.address));
}

void held_conclude(void)
{
    if (guard.block != NULL && atomic_load(&guard.block->held) != HELD_NONE)
        conclude(guard.block);
}

void event_held_slow(void)
{
    int saved = errno;
    if (guard_enter()) {
        held_conclude();
        guard_leave();
    }
    errno = saved;
}

void held_tell_all(void)
{
    struct thread_block *block;
    for (uint32_t number = 0; held != NULL && (block = thread_block_of_number(number)) != NULL;
         number++)
        if (atomic_load(&block->held) != HELD_NONE)
            conclude(block);
}

/* The thread is still where it asked: all return addresses but the innermost are on the stack of
 * the abort, as its outermost part. */
static bool is_below(const struct stack *probe, const struct stack *abort)
{
    if (probe->count < 2 || abort->count < probe->count - 1)
        return false;
    for (uint32_t i = 1; i < probe->count; i++)
        if (probe->frames[probe->count - i] != abort->frames[abort->count - i])
            return false;
    return true;
}

bool held_explains_abort(const struct stack *stack)
{
    uint32_t state;
    struct thread_block *block = guard.block;
    if (block == NULL || atomic_load(&block->held) != HELD_PROBE ||
        !is_below(&held[block->number].touch.stack, stack))
        return false;
    struct held *waiting = take(block, &state);
    if (waiting == NULL)
        return false;
    struct finding *finding = &waiting->finding;
    detect_use_after_close(finding, &waiting->touch, &waiting->descriptor, true, true);
    finding->touch.ticks = waiting->ticks;
    tell_descriptor(finding);
    atomic_store(&block->held, HELD_NONE);
    return true;
}

void held_forked(void)
{
    struct thread_block *block;
    for (uint32_t number = 0; (block = thread_block_of_number(number)) != NULL; number++)
        atomic_store(&block->held, HELD_NONE);
}
