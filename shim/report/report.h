/* Report: takes a finding and tells it, once: deduplication, suppressions, counting, text and JSON.
 * Reports of several threads come out whole, in turn. Async-signal-safe; may be called with the
 * guard entered or from the fault path. */
#ifndef OUTLIVE_REPORT_REPORT_H
#define OUTLIVE_REPORT_REPORT_H

#include "base/options.h"
#include "base/text.h"
#include "report/finding.h"

enum verdict {
    VERDICT_GO_ON, /* told, suppressed or repeated, and the program may go on */
    VERDICT_STOP,  /* the program must not go on: call report_stop() */
};

/* Once, at start; the options stay referenced. */
void report_start(const struct options *options);

enum verdict report_finding(struct finding *finding);

/* Tells which threads are alive, as text: threads_at_exit. */
void report_threads(void);

/* The thread's stack now, as picture.h has it. False: it did not answer. */
bool report_sample(pid_t tid, struct stack *stack);

/* Waits until every report in progress is out, prints coverage and summary and kills the process
 * with SIGABRT, past the program's handler, leaving a core. */
void report_stop(void) __attribute__((noreturn));

/* Around what may become a report: exit waits for it, as for a report. Not across report_stop(). */
void report_prepare(void);
void report_prepared(void);

/* Exit calls this: waits for reports in progress, at most report_wait_ms. */
void report_wait(void);

/* True while this very thread is writing a report: a fault now is the shim's own. */
bool report_is_mine(void);

/* Coverage and summary lines; once a process. */
void report_summary(void);
/* True if there is something to say at exit even where summary=0. */
bool report_has_news(void);

void report_forked(void);

/* What stands in the coverage line. The text must live for ever. */
void report_add_off(const char *what);
void report_heap_is_blind(void);
void report_set_coverage(void (*write)(struct text *text));

#endif
