/* Options: what the user sets through OUTLIVE_OPTIONS or `outlive run`. Used by the shim (once, at
 * start) and by the command. Parsing allocates nothing and is not thread-safe; reading a parsed
 * struct is. The rows stand in options.def. */
#ifndef OUTLIVE_BASE_OPTIONS_H
#define OUTLIVE_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIBI (UINT64_C(1) << 10)
#define MEBI (UINT64_C(1) << 20)
#define GIBI (UINT64_C(1) << 30)
#define OPTION_TEXT_SIZE 1024

struct options {
#define OPTION_FLAG(name, value, help) bool name;
#define OPTION_NUMBER(name, value, minimum, maximum, help) uint64_t name;
#define OPTION_TEXT(name, value, help) char name[OPTION_TEXT_SIZE];
#define OPTION_CHOICE(name, value, choices, help) char name[16];
#include "base/options.def"
#undef OPTION_FLAG
#undef OPTION_NUMBER
#undef OPTION_TEXT
#undef OPTION_CHOICE
};

enum option_kind { OPTION_IS_FLAG, OPTION_IS_NUMBER, OPTION_IS_TEXT, OPTION_IS_CHOICE };

/* One row of the table, for usage texts and docs. All pointers are static. */
struct option_row {
    const char *name;
    const char *initial; /* the default, as text */
    const char *choices; /* OPTION_IS_CHOICE: the words, split by '|'; else NULL */
    const char *help;
    uint64_t minimum, maximum; /* OPTION_IS_NUMBER */
    enum option_kind kind;
};

/* All rows, in the order of options.def. */
const struct option_row *options_rows(size_t *count);

/* Sets every option to its default. */
void options_default(struct options *options);

/* Reads `name=value` pairs split by white space or ':' (a value may be quoted with ' or "), later
 * ones win. On the first bad pair returns false and writes one line, without line feed, that names
 * it and says what is allowed; pairs before it have been taken. */
bool options_parse(struct options *options, const char *text, char *error, size_t error_size);

#endif
