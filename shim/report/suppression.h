/* Suppression: findings that the user does not want to hear of, in TSan's form: a line each
 * `kind:pattern`, `#` begins a comment. A pattern is matched against every function, file and
 * module of the finding's stacks and against its threads' names; kind `*` means all. Read once at
 * start; matching is async-signal-safe. */
#ifndef OUTLIVE_REPORT_SUPPRESSION_H
#define OUTLIVE_REPORT_SUPPRESSION_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUPPRESSIONS 256
#define SUPPRESSION_SIZE 256

struct suppression {
    char kind[32];
    char pattern[SUPPRESSION_SIZE];
    uint64_t hits;
};

/* Reads the file; a file that cannot be read, or a bad line, is told in one line each. */
void suppressions_start(const char *path);
/* Parses one line. False: bad, and error says why. An empty line or comment leaves kind empty. */
bool suppression_parse(struct suppression *suppression, const char *line, size_t length,
                       const char **error);
size_t suppressions_count(void);
struct suppression *suppression_at(size_t index);
/* One line a suppression that was used. */
void suppressions_write(struct text *text);

#endif
