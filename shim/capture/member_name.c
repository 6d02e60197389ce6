/* Member name: see member_name.h. */
#include "capture/member_name.h"

#include "base/text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past a source name: length and bytes. NULL: not well formed. */
static const char *past_name(const char *at, const char *end, const char **name)
{
    size_t length = 0;
    while (is_digit(*at) && length < 65536)
        length = length * 10 + (size_t)(*at++ - '0');
    *name = at;
    return length > 0 && length <= (size_t)(end - at) ? at + length : NULL;
}

/* Past template arguments: I ... E, where types, packs, expressions and literals end in E, too. */
static const char *past_arguments(const char *at, const char *end)
{
    const char *name;
    size_t depth = 0;
    while (at != NULL && at < end) {
        if (is_digit(*at)) {
            at = past_name(at, end, &name);
            continue;
        }
        char c = *at++;
        if (c == 'L' && *at == '_') {
            return NULL; /* a function or object as an argument: rare, and not worth the grammar */
        } else if (c == 'L') { /* a literal: its value may be digits */
            while (at < end && *at != 'E')
                at++;
            at += at < end;
        } else if (c == 'S') { /* a substitution: S_, S1A_, St, Sa */
            if (*at >= 'a' && *at <= 'z') {
                at++;
                continue;
            }
            while (is_digit(*at) || (*at >= 'A' && *at <= 'Z'))
                at++;
            at += *at == '_';
        } else if (c == 'A') { /* an array: its dimension is no name */
            while (is_digit(*at))
                at++;
        } else if (c == 'T') { /* a template parameter */
            while (is_digit(*at))
                at++;
        } else if (c == 'D' && (*at == 't' || *at == 'T')) {
            return NULL; /* decltype: an expression */
        } else if (c == 'I' || c == 'J' || c == 'N' || c == 'X' || c == 'F') {
            depth++;
        } else if (c == 'E' && --depth == 0) {
            return at;
        }
    }
    return NULL;
}

bool member_class(const char *mangled, char *class, size_t size, bool *has_this)
{
    const char *at = mangled + 3, *end = mangled + text_length(mangled);
    struct text text = text_in(class, size);
    size_t before = 0; /* length of the text without the last part */
    unsigned parts = 0;
    if (!text_begins(mangled, "_ZN") || text_find(mangled, ".") != NULL)
        return false;
    *has_this = false;
    for (; *at == 'r' || *at == 'V' || *at == 'K' || *at == 'R' || *at == 'O'; at++)
        *has_this = true;
    if (at[0] == 'S' && at[1] == 't') {
        text_add(&text, "std");
        parts++;
        at += 2;
    }
    while (at != NULL && at < end && *at != 'E') {
        const char *name;
        if (*at == 'I') {
            at = parts == 0 ? NULL : past_arguments(at, end);
        } else if (*at == 'B') { /* an ABI tag */
            at = past_name(at + 1, end, &name);
        } else if (is_digit(*at)) {
            at = past_name(at, end, &name);
            if (at == NULL)
                return false;
            before = text.length;
            text_add(&text, parts++ == 0 ? "" : "::");
            text_add_bytes(&text, name, (size_t)(at - name));
        } else if (*at >= 'a' && *at <= 'z') { /* an operator: the last part */
            before = text.length;
            parts++;
            break;
        } else { /* constructors, destructors, and names that only begin with another one */
            return false;
        }
    }
    if (at == NULL || at >= end || parts < 2 || text.cut || before == 0)
        return false;
    class[before] = '\0';
    return true;
}
