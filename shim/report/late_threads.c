/* Late threads: the table of them that stands before the summary: what each thread outlives, and
 * the join or stop that is missing. See render.h; under the report lock, since a report at exit may
 * follow a summary. */
#include "report/render.h"

static char rows[LATE_THREADS_SIZE];
static size_t length;
static uint32_t count;

void late_threads_add(const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    if (length + 1 >= sizeof rows)
        return;
    struct text text = text_in(rows + length, sizeof rows - length);
    text_format(&text, "  %s: ", grade_name(finding->grade));
    write_actor(&text, &finding->touch.actor);
    text_format(&text, " and the %zu-byte %s", finding->size,
                named->type != NULL ? named->type : "object");
    if (named->stacks[MOMENT_BIRTH].count > 0) {
        text_add(&text, " made in ");
        write_place(&text, user_frame(&named->stacks[MOMENT_BIRTH]));
    }
    text_add(&text, ": ");
    write_stop(&text, named);
    text_add(&text, "\n");
    if (text.cut) { /* a whole row or none */
        rows[length] = '\0';
        return;
    }
    length += text.length;
    count++;
}

void late_threads_write(struct text *text)
{
    if (count == 0)
        return;
    text_format(text, "LATE THREADS: outlive: %u, worst first\n", count);
    text_add_bytes(text, rows, length);
}

void late_threads_forget(void)
{
    length = 0;
    count = 0;
}
