/* Process events: start, the shutdown phase, exit, fork, threads. */
#include "event/descriptor_internal.h"
#include "event/event.h"
#include "event/internal.h"
#include "event/perturb.h"

#include "base/clock.h"
#include "base/output.h"
#include "base/owner.h"
#include "base/system.h"
#include "heap/arena.h"
#include "patch/patch.h"
#include "registry/annotated_object.h"
#include "registry/descriptor_quarantine.h"
#include "registry/need.h"
#include "registry/order.h"
#include "registry/phase.h"
#include "registry/site.h"
#include "registry/static_object.h"
#include "registry/use.h"

static const struct options *options;
bool event_heap_watched;
static bool forked_child;

void report_or_stop(struct finding *finding)
{
    if (report_finding(finding) == VERDICT_STOP)
        report_stop();
}

void report_and_go_on(struct finding *finding)
{
    report_or_stop(finding);
    report_prepared();
}

static void write_coverage(struct text *text)
{
    uint64_t allocations, poisoned, early, unused, guarded = site_guarded();
    thread_totals(&allocations, &unused);
    quarantine_totals(&poisoned, &early);
    /* Counts without locks: a signal handler's allocation may be lost in one and not the other. */
    uint64_t passed = allocations > guarded ? allocations - guarded : 0;
    if (event_heap_watched)
        text_format(text, "heap %lu objects seen, %lu guarded, %lu poisoned, %lu passed; ",
                    guarded + passed, guarded, poisoned, passed);
    else
        text_add(text, "heap not seen; ");
    if (event_destructors_seen > 0)
        text_format(text, "%u destructors watched; ", event_destructors_seen);
    if (options->watch[0] != '\0')
        text_format(text, "%u member functions watched; ", event_members_watched);
    text_format(text, "%u threads; guard %s", thread_count(), arena_back_end());
    if (early > 0)
        text_format(text, "; shutdown_memory was full: %lu freed blocks were handed back early",
                    early);
}

bool event_start(const struct options *given, const struct allocator *allocator, bool heap)
{
    const struct quarantine_calls calls = {allocator->release, tell_late_write};
    options = given;
    event_heap_watched = heap;
    owner_start();
    clock_start();
    report_start(options);
    if (!thread_start()) {
        output_tell_once("no memory for the table of threads: nothing is watched", NULL);
        return false;
    }
    (void)stack_start();
    report_set_coverage(write_coverage);
    library_start();
    (void)descriptor_events_start(options);
    thread_stack_events_start(options);
    hung_shutdown_start(options);
    perturb_start(options->seed);
    if (heap) {
        if (!site_start(options->guard_per_site, options->guard_refill_ms)) {
            output_tell_once("no memory for the table of allocation sites: nothing is watched",
                             NULL);
            return false;
        }
        if (!arena_start(options))
            report_add_off(arena_loss());
        else if (!use_start())
            report_add_off("no memory for who uses what");
        if (!quarantine_start(options, &calls))
            report_add_off("no quarantine");
        else if (options->poison == 0)
            report_add_off("poison=0");
        heap_events_start(options, allocator);
        late_threads_start(options);
        if (text_equal(options->order, "always"))
            order_begin();
    }
    atomic_fetch_add(&output_status()->loaded, 1);
    return true;
}

struct thread *event_thread_create(void *entry, void *argument, enum thread_origin origin,
                                   struct caller caller)
{
    clock_advance_coarse();
    event_waited();
    return thread_create(entry, argument, stack_keep(caller), origin);
}

void event_thread_end(void)
{
    held_conclude();
    tell_locks_at_end();
    destruction_end();
    if (guard.block != NULL)
        finish_frees(guard.block);
    quarantine_flush(guard.block);
    thread_stack_ended();
    /* In the shutdown phase freed blocks stay where they are. */
    thread_end(phase_is_shutdown());
}

void event_shutdown(const char *sign)
{
    if (!phase_begin_shutdown(sign))
        return;
    watch_shutdown();
    if (!text_equal(options->order, "off"))
        order_begin();
    if (event_heap_watched)
        quarantine_begin_shutdown();
}

void event_exit(bool last)
{
    held_tell_all();
    if (event_heap_watched)
        quarantine_check();
    if (last && !forked_child) {
        tell_thread_leaks();
        if (event_heap_watched) /* else there are no options of theirs, and no objects */
            tell_late_threads();
    }
    report_wait();
    bool always = forked_child ? options->summary >= 2 : options->summary >= 1;
    if (last && options->threads_at_exit && (always || !forked_child))
        report_threads();
    if (arena_loss() != NULL && event_heap_watched)
        report_add_off(arena_loss());
    if (last && (always || report_has_news()))
        report_summary();
    report_wait(); /* threads run until the last moment: a report of now repeats the summary */
}

void event_dying(void)
{
    held_tell_all();
    report_wait();
    if (report_has_news())
        report_summary();
}

void event_prepare_fork(void)
{
    patch_prepare_fork();
    thread_prepare_fork();
    static_object_prepare_fork();
    descriptor_events_prepare_fork();
    descriptor_quarantine_prepare_fork();
    thread_stack_prepare_fork();
    annotated_object_prepare_fork();
    need_prepare_fork();
    order_prepare_fork();
    if (event_heap_watched) {
        arena_prepare_fork();
        object_prepare_fork();
        use_prepare_fork();
        late_threads_prepare_fork();
        quarantine_prepare_fork();
    }
}

void event_forked(bool child)
{
    if (child)
        owner_renew();
    if (event_heap_watched) {
        quarantine_forked(child);
        late_threads_forked(child);
        use_forked(child);
        object_forked(child);
        arena_forked(child);
    }
    order_forked(child);
    need_forked(child);
    annotated_object_forked(child);
    thread_stack_forked(child);
    static_object_forked(child);
    descriptor_quarantine_forked(child);
    thread_forked(child);
    patch_forked(child);
    if (!child)
        return;
    descriptor_events_forked();
    unload_forked();
    destruction_forked();
    hung_shutdown_forked();
    forked_child = true;
    phase_forked();
    report_forked();
    output_forked();
}
