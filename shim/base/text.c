/* Text: see text.h. */
#include "base/text.h"

#include <stdarg.h>

struct text text_in(char *data, size_t size)
{
    data[0] = '\0';
    return (struct text){.data = data, .size = size};
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    size_t room = text->size - 1 - text->length;
    if (length > room) {
        length = room;
        text->cut = true;
    }
    __builtin_memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    if (string == NULL)
        string = "(null)";
    text_add_bytes(text, string, text_length(string));
}

void text_add_char(struct text *text, char character)
{
    text_add_bytes(text, &character, 1);
}

static void add_number(struct text *text, uint64_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void text_add_decimal(struct text *text, uint64_t number)
{
    add_number(text, number, 10);
}

void text_add_hex(struct text *text, uint64_t number)
{
    add_number(text, number, 16);
}

void text_add_spaces(struct text *text, size_t count)
{
    while (count-- > 0)
        text_add_char(text, ' ');
}

static void add_signed(struct text *text, int64_t number)
{
    if (number < 0)
        text_add_char(text, '-');
    text_add_decimal(text, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void text_format(struct text *text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            text_add_char(text, *format);
            continue;
        }
        format++;
        bool wide = *format == 'l' || *format == 'z';
        if (wide)
            format++;
        switch (*format) {
        case 's':
            text_add(text, va_arg(list, const char *));
            break;
        case 'c':
            text_add_char(text, (char)va_arg(list, int));
            break;
        case 'd':
            add_signed(text, wide ? va_arg(list, long) : va_arg(list, int));
            break;
        case 'u':
            text_add_decimal(text, wide ? va_arg(list, unsigned long) : va_arg(list, unsigned));
            break;
        case 'x':
            text_add_hex(text, wide ? va_arg(list, unsigned long) : va_arg(list, unsigned));
            break;
        case 'p':
            text_add(text, "0x");
            text_add_hex(text, (uint64_t)(uintptr_t)va_arg(list, void *));
            break;
        default:
            text_add_char(text, '%');
            break;
        }
        if (*format == '\0')
            break;
    }
    va_end(list);
}

bool text_parse_size(const char *string, size_t length, uint64_t *number)
{
    unsigned shift = 0;
    *number = 0;
    if (length > 1) {
        char suffix = string[length - 1];
        shift = suffix == 'K' || suffix == 'k'   ? 10
                : suffix == 'M' || suffix == 'm' ? 20
                : suffix == 'G' || suffix == 'g' ? 30
                                                 : 0;
        length -= shift != 0;
    }
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (string[i] < '0' || string[i] > '9' || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(string[i] - '0'), number))
            return false;
    }
    if (shift != 0 && *number >> (64 - shift) != 0)
        return false;
    *number <<= shift;
    return true;
}

size_t text_length(const char *string)
{
    size_t length = 0;
    while (string[length] != '\0') {
        length++;
        __asm__ volatile(""); /* keeps the compiler from calling strlen */
    }
    return length;
}

bool text_equal(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right)
        left++, right++;
    return *left == *right;
}

bool text_begins(const char *string, const char *prefix)
{
    while (*prefix != '\0' && *string == *prefix)
        string++, prefix++;
    return *prefix == '\0';
}

const char *text_find(const char *haystack, const char *needle)
{
    for (;; haystack++) {
        while (needle[0] != '\0' && *haystack != needle[0] && *haystack != '\0')
            haystack++;
        if (text_begins(haystack, needle))
            return haystack;
        if (*haystack == '\0')
            return NULL;
    }
}

/* Matches the whole string; linear in string times pattern, with one point to go back to. */
static bool matches_whole(const char *string, const char *pattern, const char *end)
{
    const char *star = NULL, *resume = NULL;
    while (*string != '\0') {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            resume = string;
        } else if (pattern < end && *pattern == *string) {
            pattern++, string++;
        } else if (star != NULL) {
            pattern = star + 1;
            string = ++resume;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool text_matches(const char *string, const char *pattern)
{
    size_t length = text_length(pattern);
    bool from_start = length > 0 && pattern[0] == '^';
    bool to_end = length > (size_t)from_start && pattern[length - 1] == '$';
    const char *first = pattern + from_start, *end = pattern + length - to_end;
    char wrapped[1032];
    struct text text = text_in(wrapped, sizeof wrapped);
    if (!from_start)
        text_add_char(&text, '*');
    text_add_bytes(&text, first, (size_t)(end - first));
    if (!to_end)
        text_add_char(&text, '*');
    return !text.cut && matches_whole(string, wrapped, wrapped + text.length);
}
