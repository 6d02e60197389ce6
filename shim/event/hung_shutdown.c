/* Hung shutdown events: a side thread waits while the shutdown phase lasts. If it lasts too long
 * it tells who waits for whom. It stops nobody, unless the process is to be aborted. */
#include "event/event.h"
#include "event/internal.h"

#include "base/clock.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"
#include "registry/phase.h"
#include "registry/side_thread.h"
#include "registry/wait.h"

static const struct options *options;
static _Atomic bool started;

/* Where to begin: with the thread that began the shutdown, if it waits; with one of a cycle; with
 * any that waits. */
static struct thread *first_of_chain(void)
{
    struct waiting waiting, chain[16];
    thread_reference threads[16];
    struct thread *by = thread_of_reference(phase_thread()), *any = NULL;
    if (by != NULL && by->state == THREAD_RUNNING && wait_of(by, &waiting))
        return by;
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        struct thread *thread = thread_slot(slot);
        size_t cycle;
        if (thread->state != THREAD_RUNNING || !wait_of(thread, &waiting))
            continue;
        size_t count = wait_chain(thread, chain, threads, 16, &cycle);
        if (cycle < count)
            return thread;
        if (any == NULL || waiting.note.what == WAIT_THREAD)
            any = thread;
    }
    bool alive = by != NULL && by->state == THREAD_RUNNING;
    return alive ? by : any;
}

static void tell(void)
{
    struct touch touch = {.thread = first_of_chain(), .access = ACCESS_LOCK};
    struct waiting waiting;
    bool goes_on = text_equal(options->shutdown_timeout_action, "continue");
    if (touch.thread != NULL) {
        thread_refresh_name((struct thread *)touch.thread);
        bool waits = wait_of(touch.thread, &waiting);
        if (waits)
            touch.function = waiting.note.function;
        if (!(waits && stack_get(waiting.note.stack, &touch.stack)) && !goes_on)
            (void)report_sample(touch.thread->tid, &touch.stack);
    }
    struct finding finding;
    detect_hung_shutdown(&finding, &touch, options->shutdown_timeout);
    finding.goes_on = goes_on;
    report_or_stop(&finding);
}

static void watch(void)
{
    uint64_t end = clock_milliseconds() + options->shutdown_timeout * 1000;
    for (uint64_t now = clock_milliseconds(); now < end; now = clock_milliseconds())
        system_sleep_ms((long)(end - now));
    report_prepare();
    tell();
    report_prepared();
}

void hung_shutdown_start(const struct options *given)
{
    options = given;
    wait_keeps_all = given->shutdown_timeout > 0;
}

void watch_shutdown(void)
{
    if (options == NULL || options->shutdown_timeout == 0 || atomic_exchange(&started, true))
        return;
    if (!side_thread_start(watch, "outlive-watch"))
        output_tell_once("no thread to watch the shutdown: shutdown_timeout is not kept", NULL);
}

void hung_shutdown_forked(void)
{
    atomic_store(&started, false);
}
