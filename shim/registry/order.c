/* Order: see order.h. */
#include "registry/order.h"

#include "base/memory.h"

/* Kind in the upper two bits: addresses of programs have at most 57. */
struct event {
    _Atomic uint64_t ticks, what;
};
#define KIND_SHIFT 62

struct ring {
    _Atomic uint64_t count; /* ever written */
    _Atomic thread_reference thread;
    struct event events[ORDER_EVENTS];
};

bool order_records;

/* By the number of the thread's block. */
static struct ring *_Atomic rings[THREAD_BLOCKS_MAXIMUM];
static _Atomic uint64_t began;

/* What follows is of one question at a time. */
static struct lock questions;
/* Who has been told, and by what: a hash table of events' words. */
enum { MARKS = 4096, MARKS_MOST = MARKS * 3 / 4, EDGES = 512 };
static uint64_t marks[MARKS];
static uint32_t mark_count;
/* Threads that were started and joined. */
static struct edge {
    uint64_t ticks;
    thread_reference from, to;
} edges[EDGES];
static uint32_t edge_count;
static struct cursor {
    struct ring *ring;
    uint64_t next, end, ticks;
    thread_reference thread;
} cursors[THREAD_BLOCKS_MAXIMUM];
static uint32_t cursor_count;
static bool all_known;

void order_begin(void)
{
    uint64_t none = 0;
    atomic_compare_exchange_strong(&began, &none, __builtin_ia32_rdtsc());
    order_records = true;
}

static void add(struct ring *ring, enum order_kind kind, uint64_t what, uint64_t ticks)
{
    uint64_t count = atomic_load_explicit(&ring->count, memory_order_relaxed);
    struct event *event = &ring->events[count % ORDER_EVENTS];
    atomic_store_explicit(&event->ticks, ticks, memory_order_relaxed);
    atomic_store_explicit(&event->what, (uint64_t)kind << KIND_SHIFT | what, memory_order_relaxed);
    atomic_store_explicit(&ring->count, count + 1, memory_order_release);
}

/* The thread has its first note in it. */
static __attribute__((noinline)) struct ring *begin_ring(const struct thread_block *block,
                                                         uint64_t ticks)
{
    struct ring *ring = atomic_load(&rings[block->number]), *none = NULL;
    if (ring == NULL) {
        ring = memory_map(sizeof *ring);
        if (ring == NULL)
            return NULL;
        if (!atomic_compare_exchange_strong(&rings[block->number], &none, ring)) {
            memory_unmap(ring, sizeof *ring);
            ring = none;
        }
    }
    thread_reference before = atomic_load(&ring->thread);
    if (before != 0)
        add(ring, ORDER_ENDED, before, ticks);
    add(ring, ORDER_BEGAN, block->reference, ticks);
    atomic_store(&ring->thread, block->reference);
    return ring;
}

void order_note_slow(const struct thread_block *block, enum order_kind kind, uintptr_t address,
                     uint64_t ticks)
{
    struct ring *ring = atomic_load_explicit(&rings[block->number], memory_order_relaxed);
    if (__builtin_expect(ring == NULL ||
                             atomic_load_explicit(&ring->thread, memory_order_relaxed) !=
                                 block->reference,
                         0))
        ring = begin_ring(block, ticks);
    if (ring != NULL)
        add(ring, kind, address, ticks);
}

/* The place of that word in the table, or where it is to go. */
static uint64_t *mark_place(uint64_t word)
{
    uint64_t at = word * UINT64_C(0x9e3779b97f4a7c15) >> 52;
    while (marks[at % MARKS] != 0 && marks[at % MARKS] != word)
        at++;
    return &marks[at % MARKS];
}

static bool is_marked(uint64_t word)
{
    return *mark_place(word) == word;
}

static void mark(uint64_t word)
{
    uint64_t *place = mark_place(word);
    if (*place == word)
        return;
    if (mark_count == MARKS_MOST) {
        all_known = false;
        return;
    }
    mark_count++;
    *place = word;
}

static uint64_t word_of(thread_reference thread)
{
    return (uint64_t)ORDER_BEGAN << KIND_SHIFT | thread;
}

/* The event of that number; false where it has been written over. */
static bool read_event(struct ring *ring, uint64_t number, uint64_t *ticks, uint64_t *what)
{
    const struct event *event = &ring->events[number % ORDER_EVENTS];
    *ticks = atomic_load_explicit(&event->ticks, memory_order_relaxed);
    *what = atomic_load_explicit(&event->what, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&ring->count, memory_order_relaxed) - number < ORDER_EVENTS;
}

/* From the first event at `since` or after it. */
static void place_cursor(struct ring *ring, uint64_t since)
{
    struct cursor *cursor = &cursors[cursor_count];
    uint64_t ticks, what;
    *cursor = (struct cursor){.ring = ring, .thread = atomic_load(&ring->thread)};
    cursor->next = cursor->end = atomic_load(&ring->count);
    while (cursor->next > 0) {
        if (!read_event(ring, cursor->next - 1, &ticks, &what)) {
            all_known = false;
            break;
        }
        if (ticks < since)
            break;
        cursor->next--;
        cursor->ticks = ticks;
        if (what >> KIND_SHIFT == ORDER_ENDED)
            cursor->thread = (thread_reference)what;
    }
    cursor_count += cursor->next < cursor->end;
}

static void add_edge(uint64_t ticks, thread_reference from, thread_reference to)
{
    if (from == 0 || to == 0)
        return;
    if (edge_count == EDGES) {
        all_known = false;
        return;
    }
    uint32_t at = edge_count++;
    for (; at > 0 && edges[at - 1].ticks > ticks; at--)
        edges[at] = edges[at - 1];
    edges[at] = (struct edge){ticks, from, to};
}

static void find_edges(uint64_t since, uint64_t until)
{
    edge_count = 0;
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        if (thread->state == THREAD_UNUSED)
            continue;
        if (thread->start_ticks >= since && thread->start_ticks <= until)
            add_edge(thread->start_ticks, thread->creator, thread->reference);
        if (thread->joined && thread->joined_ticks >= since && thread->joined_ticks <= until)
            add_edge(thread->joined_ticks, thread->reference, thread->joiner);
    }
}

static struct cursor *earliest_cursor(void)
{
    struct cursor *earliest = NULL;
    for (uint32_t i = 0; i < cursor_count; i++)
        if (cursors[i].next < cursors[i].end &&
            (earliest == NULL || cursors[i].ticks < earliest->ticks))
            earliest = &cursors[i];
    return earliest;
}

static void go_on(struct cursor *cursor)
{
    uint64_t what;
    cursor->next++;
    if (cursor->next < cursor->end &&
        !read_event(cursor->ring, cursor->next, &cursor->ticks, &what)) {
        all_known = false;
        cursor->next = cursor->end;
    }
}

static void follow(struct cursor *cursor, uintptr_t without, size_t size)
{
    uint64_t ticks, what;
    if (!read_event(cursor->ring, cursor->next, &ticks, &what)) {
        all_known = false;
        return;
    }
    uint64_t kind = what >> KIND_SHIFT, address = what & (UINT64_MAX >> 2);
    if (kind == ORDER_BEGAN)
        cursor->thread = (thread_reference)what;
    else if (kind == ORDER_ENDED || address - without < size)
        return;
    else if (kind == ORDER_RELEASE && is_marked(word_of(cursor->thread)))
        mark((uint64_t)ORDER_RELEASE << KIND_SHIFT | address);
    else if (kind == ORDER_ACQUIRE && is_marked((uint64_t)ORDER_RELEASE << KIND_SHIFT | address))
        mark(word_of(cursor->thread));
}

enum order order_between(thread_reference thread, uint64_t ticks, thread_reference by,
                         uint64_t until, uintptr_t without, size_t size)
{
    lock_take(&questions);
    uint64_t start = atomic_load(&began);
    all_known = order_records && ticks >= start;
    __builtin_memset(marks, 0, sizeof marks);
    mark_count = cursor_count = 0;
    for (uint32_t i = 0; i < THREAD_BLOCKS_MAXIMUM; i++) {
        struct ring *ring = atomic_load(&rings[i]);
        if (ring != NULL)
            place_cursor(ring, ticks);
    }
    find_edges(ticks, until);
    mark(word_of(thread));
    uint32_t edge = 0;
    while (!is_marked(word_of(by))) {
        struct cursor *cursor = earliest_cursor();
        if (edge < edge_count && (cursor == NULL || edges[edge].ticks <= cursor->ticks)) {
            if (is_marked(word_of(edges[edge].from)))
                mark(word_of(edges[edge].to));
            edge++;
        } else if (cursor != NULL && cursor->ticks <= until) {
            follow(cursor, without, size);
            go_on(cursor);
        } else {
            break;
        }
    }
    enum order order = is_marked(word_of(by)) ? ORDER_BEFORE
                       : all_known            ? ORDER_NONE
                                              : ORDER_UNKNOWN;
    lock_release(&questions);
    return order;
}

void order_prepare_fork(void)
{
    lock_before_fork(&questions);
}

void order_forked(bool child)
{
    lock_after_fork(&questions, child);
    if (!child)
        return;
    for (uint32_t i = 0; i < THREAD_BLOCKS_MAXIMUM; i++) {
        struct ring *ring = atomic_load(&rings[i]);
        if (ring != NULL) {
            atomic_store(&ring->count, 0);
            atomic_store(&ring->thread, 0);
        }
    }
    atomic_store(&began, order_records ? __builtin_ia32_rdtsc() : 0);
}
