/* Report: see report.h. */
#include "report/report.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/output.h"
#include "base/system.h"
#include "report/picture.h"
#include "report/render.h"
#include "report/suppression.h"

#include <signal.h>

#define REPORT_SIZE ((size_t)512 * 1024)
#define SEEN 256
#define OFF 16

static const struct options *options;
static struct lock report_lock;
static _Atomic uint32_t under_way; /* reports begun and not yet out */
static _Atomic pid_t writer;       /* thread that holds the lock */
static _Atomic uint32_t counts[CONFIRMED + 1];
static _Atomic bool summarised, stopping;
static _Atomic uint32_t in_preparation;
static _Atomic bool stop_pending; /* a report is out and its thread is about to stop the process */
static const char *off[OFF];
static size_t off_count;
static void (*write_coverage)(struct text *text);
static struct {
    uintptr_t entry, birth;
    enum kind kind;
    enum grade grade;
    bool suppressed;
} seen[SEEN];
static size_t seen_count;
/* Static: what is found must not be lost for want of memory. Committed when a report is written. */
static char buffer[REPORT_SIZE];
static struct named_finding named_finding, *const named = &named_finding;

void report_start(const struct options *given)
{
    options = given;
}

void report_add_off(const char *what)
{
    if (off_count < OFF)
        off[off_count++] = what;
}

void report_heap_is_blind(void)
{
    atomic_store(&output_status()->blind_heap, 1);
}

void report_set_coverage(void (*write)(struct text *text))
{
    write_coverage = write;
}

bool report_is_mine(void)
{
    return atomic_load(&writer) == system_thread();
}

/* One bug is one report: the same entry function, birth site and kind. NULL: it was told before,
 * and *was_suppressed is set where that was suppressed. Else where to note that: never NULL. */
static bool *note_seen(const struct finding *finding, bool *was_suppressed)
{
    static bool beyond;
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    uintptr_t entry = thread == NULL ? 0 : (uintptr_t)thread->entry;
    uintptr_t birth = finding->birth_site;
    /* Where no birth is known, the place of the touch tells bugs apart. */
    if (birth == 0 && finding->touch.has && finding->touch.stack.count > 0)
        birth = finding->touch.stack.frames[0];
    else if (birth == 0 && finding->end.has)
        birth = finding->end.stack.frames[0];
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i].entry == entry && seen[i].birth == birth &&
            (seen[i].kind == finding->kind || finding->kind == KIND_LATE_THREAD) &&
            seen[i].grade >= finding->grade) { /* a late thread: if nothing worse came of it */
            *was_suppressed = seen[i].suppressed;
            return NULL;
        }
    if (seen_count == SEEN)
        return &beyond;
    seen[seen_count].entry = entry;
    seen[seen_count].birth = birth;
    seen[seen_count].grade = finding->grade;
    seen[seen_count].kind = finding->kind;
    return &seen[seen_count++].suppressed;
}

static bool matches(const struct suppression *suppression, const struct finding *finding)
{
    const char *pattern = suppression->pattern;
    if (!text_equal(suppression->kind, "*") &&
        !text_equal(suppression->kind, kind_rows[finding->kind].name))
        return false;
    for (int which = 0; which < MOMENTS; which++) {
        const struct moment *moment = finding_moment(finding, (enum moment_kind)which);
        if (!moment->has)
            continue;
        if (text_matches(moment->actor.name, pattern))
            return true;
        for (size_t i = 0; i < named->stacks[which].count; i++) {
            const struct named_frame *frame = &named->stacks[which].frames[i];
            if (text_matches(frame->function, pattern) || text_matches(frame->file, pattern) ||
                (frame->module != NULL && text_matches(frame->module->path, pattern)))
                return true;
        }
    }
    return false;
}

static bool suppressed(const struct finding *finding)
{
    for (size_t i = 0; i < suppressions_count(); i++)
        if (matches(suppression_at(i), finding)) {
            suppression_at(i)->hits++;
            return true;
        }
    return false;
}

static void count(enum grade grade)
{
    struct status *status = output_status();
    atomic_fetch_add(&counts[grade], 1);
    atomic_fetch_add(grade == CONFIRMED  ? &status->confirmed
                     : grade == IMMINENT ? &status->imminent
                                         : &status->possible,
                     1);
}

/* The thread asked for its touches to be ignored, and the program can go on. */
static bool is_ignored(const struct finding *finding)
{
    const struct thread *thread = thread_of_reference(finding->touch.actor.reference);
    bool is_touch = finding->has_object || finding->has_descriptor || finding->lock != NULL;
    return is_touch && thread != NULL && thread->ignoring > 0 &&
           (finding->can_continue || !kind_rows[finding->kind].stops);
}

static void tell(struct finding *finding, bool *was_suppressed)
{
    static char json[REPORT_SIZE];
    struct text text;
    names_begin();
    name_finding(named, finding);
    if (finding->asks_for_destructor && !is_in_thread_destructor(named))
        finding->grade = POSSIBLE;
    if (finding->silent_if_shared && is_last_release(named)) {
        *was_suppressed = true;
        names_end();
        return;
    }
    *was_suppressed = suppressed(finding);
    if (output_wants_json()) {
        text = text_in(json, sizeof json);
        render_json(&text, named, *was_suppressed);
        output_json(text.data, text.length);
    }
    if (!*was_suppressed) {
        count(finding->grade);
        atomic_store(&summarised, false); /* it would come before the finding */
        text = text_in(buffer, REPORT_SIZE);
        render_text(&text, named);
        output_text(text.data, text.length);
        if (finding->kind == KIND_LATE_THREAD)
            late_threads_add(named);
    }
    names_end();
}

/* Faults stay open: one inside the report must not kill the process silently. */
static uint64_t block_signals(void)
{
    uint64_t before = 0;
    uint64_t all = ~(UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1));
    (void)system_call4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&before, 8);
    return before;
}

bool report_sample(pid_t tid, struct stack *stack)
{
    uint64_t before = block_signals();
    lock_take(&report_lock);
    bool sampled = picture_sample(tid, stack);
    lock_release(&report_lock);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8);
    return sampled;
}

enum verdict report_finding(struct finding *finding)
{
    bool was_suppressed = false;
    if (is_ignored(finding))
        return VERDICT_GO_ON;
    uint64_t before = block_signals();
    atomic_fetch_add(&under_way, 1);
    lock_take(&report_lock);
    atomic_store(&writer, system_thread());
    bool *suppressed_now = note_seen(finding, &was_suppressed);
    if (suppressed_now != NULL) {
        tell(finding, &was_suppressed);
        *suppressed_now = was_suppressed;
    }
    bool stops = kind_rows[finding->kind].stops && finding->grade == CONFIRMED && !was_suppressed &&
                 !finding->goes_on && (options->halt_on_error || !finding->can_continue);
    /* Said before the report counts as out: an exit that waits for it must not slip through. */
    if (stops)
        atomic_store(&stop_pending, true);
    atomic_store(&writer, 0);
    lock_release(&report_lock);
    atomic_fetch_sub(&under_way, 1);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8);
    return stops ? VERDICT_STOP : VERDICT_GO_ON;
}

void report_threads(void)
{
    uint64_t before = block_signals();
    atomic_fetch_add(&under_way, 1);
    lock_take(&report_lock);
    atomic_store(&writer, system_thread());
    names_begin();
    struct text text = text_in(buffer, REPORT_SIZE);
    render_threads(&text);
    output_text(text.data, text.length);
    names_end();
    atomic_store(&writer, 0);
    lock_release(&report_lock);
    atomic_fetch_sub(&under_way, 1);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8);
}

static void wait_for_reports(bool and_stop)
{
    uint64_t end = clock_milliseconds() + options->report_wait_ms;
    while ((atomic_load(&under_way) > 0 ||
            (and_stop && (atomic_load(&in_preparation) > 0 || atomic_load(&stop_pending)))) &&
           clock_milliseconds() < end)
        system_sleep_ms(1);
}

void report_prepare(void)
{
    atomic_fetch_add(&in_preparation, 1);
}

void report_prepared(void)
{
    atomic_fetch_sub(&in_preparation, 1);
}

void report_wait(void)
{
    wait_for_reports(true);
}

bool report_has_news(void)
{
    return atomic_load(&counts[CONFIRMED]) + atomic_load(&counts[IMMINENT]) +
               atomic_load(&counts[POSSIBLE]) >
           0;
}

void report_summary(void)
{
    if (atomic_exchange(&summarised, true))
        return;
    char lines[LATE_THREADS_SIZE + 4096];
    struct text text = text_in(lines, sizeof lines);
    suppressions_write(&text);
    text_format(&text, "==%d==COVERAGE: outlive: ", system_process());
    if (write_coverage != NULL)
        write_coverage(&text);
    text_add(&text, "; off: ");
    for (size_t i = 0; i < off_count; i++)
        text_format(&text, "%s%s", i == 0 ? "" : ", ", off[i]);
    text_add(&text, off_count == 0 ? "nothing\n" : "\n");
    late_threads_write(&text);
    text_format(&text, "SUMMARY: outlive: %u confirmed, %u imminent, %u possible\n",
                atomic_load(&counts[CONFIRMED]), atomic_load(&counts[IMMINENT]),
                atomic_load(&counts[POSSIBLE]));
    output_text(text.data, text.length);
}

void report_stop(void)
{
    wait_for_reports(false);
    if (atomic_exchange(&stopping, true))
        for (;;)
            system_sleep_ms(1000); /* another thread is ending the process */
    report_summary();
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {.handler = SIG_DFL};
    uint64_t mask = UINT64_C(1) << (SIGABRT - 1);
    for (;;) {
        (void)system_call4(SYS_rt_sigaction, SIGABRT, (long)&action, 0, 8);
        (void)system_call4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, 0, 8);
        (void)system_call3(SYS_tgkill, system_process(), system_thread(), SIGABRT);
        if (system_is_refused(SYS_tgkill) || system_is_refused(SYS_gettid)) {
            (void)system_call3(SYS_exit_group, 128 + SIGABRT, 0, 0);
            __builtin_trap();
        }
    }
}

void report_forked(void)
{
    lock_reset(&report_lock);
    atomic_store(&under_way, 0);
    atomic_store(&in_preparation, 0);
    atomic_store(&writer, 0);
    atomic_store(&summarised, false);
    atomic_store(&stop_pending, false);
    late_threads_forget();
    atomic_store(&stopping, false); /* who was ending the process is not here */
    for (size_t i = 0; i <= CONFIRMED; i++)
        atomic_store(&counts[i], 0);
}
