/* Thread stack events: which threads get a stack of the shim's, its end, and touches after that. */
#include "event/event.h"
#include "event/internal.h"

#include "base/clock.h"
#include "base/output.h"

#include <elf.h>
#include <errno.h>
#include <link.h>

/* A place that starts threads, by its full stack. What dies early does so at places that start few;
 * a place that starts thousands would pay a little for each. */
#define PLACES 1024
#define PLACE_TRIES 8
#define PLACE_AT_ONCE 16
#define PLACE_REFILL_MS 1000

static struct place {
    _Atomic uint32_t start_stack; /* + 1; 0: free */
    _Atomic uint32_t lent;
    _Atomic uint64_t last_ms;
} places[PLACES];

static struct place *place_of(uint32_t start_stack)
{
    uint32_t at = start_stack * UINT32_C(2654435761) >> 16;
    for (uint32_t i = 0; i < PLACE_TRIES; i++) {
        struct place *place = &places[(at + i) % PLACES];
        uint32_t known = 0;
        if (atomic_compare_exchange_strong(&place->start_stack, &known, start_stack + 1) ||
            known == start_stack + 1)
            return place;
    }
    return NULL;
}

/* Races may give one more, or less. */
static bool place_spends(uint32_t start_stack)
{
    struct place *place = place_of(start_stack);
    if (place == NULL)
        return false;
    if (atomic_load(&place->lent) < PLACE_AT_ONCE) {
        atomic_fetch_add(&place->lent, 1);
        return true;
    }
    uint64_t now = clock_coarse_milliseconds();
    if (now - atomic_load(&place->last_ms) < PLACE_REFILL_MS)
        return false;
    atomic_store(&place->last_ms, now);
    return true;
}

static int wants_executable(struct dl_phdr_info *module, size_t size, void *any)
{
    bool told = false, executable = true; /* without the header the kernel and libc assume it */
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_GNU_STACK) {
            told = true;
            executable = (module->dlpi_phdr[i].p_flags & PF_X) != 0;
        }
    if (executable && (told || module->dlpi_name[0] == '\0'))
        *(bool *)any = true;
    return 0;
}

void thread_stack_events_start(const struct options *options)
{
    bool executable = false;
    (void)dl_iterate_phdr(wants_executable, &executable);
    if (options->thread_quarantine == 0) {
        report_add_off("thread_quarantine=0");
    } else if (executable) { /* libc makes those that it knows executable, later ones too */
        report_add_off("stacks of finished threads (the program's stacks are executable)");
    } else if (!thread_stack_start(options->thread_quarantine,
                                   !options->halt_on_error || options->suppressions[0] != '\0')) {
        report_add_off("no quarantine of thread stacks");
    }
}

struct thread_stack *event_thread_stack(struct thread *thread, size_t size, size_t guard_size)
{
    if (thread_stacks_leaving > 0)
        thread_stack_look();
    return thread_stack_lend(thread, size, guard_size);
}

bool event_thread_wants_stack(const struct thread *thread)
{
    return place_spends(thread->start_stack);
}

void event_threads_leaving(void)
{
    int saved = errno;
    if (guard_enter()) {
        thread_stack_look();
        guard_leave();
    }
    errno = saved;
}

static bool is_dead(uintptr_t address, struct thread_stack *copy, struct thread_stack **stack)
{
    *stack = thread_stack_find(address, copy);
    return *stack != NULL && !atomic_load(&copy->opened);
}

bool fault_in_thread_stack(const struct touch *touch, uintptr_t stack_pointer)
{
    struct thread_stack copy, *stack;
    if (touch->access == ACCESS_CALL && thread_stack_make_executable(touch->address))
        return true;
    if (!is_dead(touch->address, &copy, &stack))
        return stack != NULL; /* another thread's report has just opened it */
    /* A thread that ran out of its own stack is no late one. */
    if (stack_pointer >= copy.start && stack_pointer <= copy.top)
        return false;
    struct finding finding;
    detect_thread_stack(&finding, touch, &copy);
    finding.can_continue = thread_stack_keeps_content();
    report_or_stop(&finding);
    return thread_stack_reopen(stack);
}

void buffer_in_thread_stack(const struct touch *touch)
{
    struct thread_stack copy, *stack;
    struct finding finding;
    if (!is_dead(touch->address, &copy, &stack))
        return;
    detect_thread_stack(&finding, touch, &copy);
    finding.can_continue = true; /* the program sees the kernel's error */
    report_or_stop(&finding);
}

struct thread_stack *event_stack_of(pthread_t handle)
{
    if (!guard_enter())
        return NULL;
    const struct thread *thread = thread_of_handle(handle);
    struct thread_stack *stack = thread == NULL ? NULL : thread->stack;
    guard_leave();
    return stack;
}

void event_detached(struct thread_stack *stack, bool ok)
{
    if (stack == NULL || !ok || !guard_enter())
        return;
    thread_stack_detached(stack);
    guard_leave();
}
