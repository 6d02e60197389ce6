/* Text: formatting into a buffer of fixed size, without libc. Used wherever the shim makes words.
 * Async-signal-safe; a buffer belongs to one thread at a time. What does not fit is cut, and
 * `cut` is set. The buffer always ends with a NUL. */
#ifndef OUTLIVE_BASE_TEXT_H
#define OUTLIVE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;
    size_t size, length;
    bool cut;
};

/* Starts an empty text in the caller's memory; size counts the final NUL and must not be 0. */
struct text text_in(char *data, size_t size);

void text_add(struct text *text, const char *string); /* NULL adds "(null)" */
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_char(struct text *text, char character);
void text_add_decimal(struct text *text, uint64_t number);
void text_add_hex(struct text *text, uint64_t number); /* no prefix, no padding */
void text_add_spaces(struct text *text, size_t count);

/* The conversions %s %c %d %u %ld %lu %zu %x %lx %p %% only, no widths. */
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a whole unsigned number with an optional K, M, G suffix; false if anything else is there.
 */
bool text_parse_size(const char *string, size_t length, uint64_t *number);

/* libc-free twins of strlen, strcmp, strstr and memcmp: the program may have replaced these, and
 * the shim will hook them. */
size_t text_length(const char *string);
bool text_equal(const char *left, const char *right);
bool text_begins(const char *string, const char *prefix);
const char *text_find(const char *haystack, const char *needle);
/* Glob: '*' matches any run of characters; a pattern without one matches any substring, as TSan's
 * suppressions do; '^' and '$' anchor. */
bool text_matches(const char *string, const char *pattern);

#endif
