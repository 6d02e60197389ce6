/* Destructor name: see destructor_name.h. */
#include "capture/destructor_name.h"

#include "base/text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past one part of a name: a source name as a whole, so that what looks like a destructor inside an
 * identifier is none. NULL: not well formed. */
static const char *next_part(const char *at, const char *end)
{
    if (is_digit(*at)) {
        size_t length = 0;
        while (is_digit(*at) && length < 65536)
            length = length * 10 + (size_t)(*at++ - '0');
        return length > 0 && length <= (size_t)(end - at) ? at + length : NULL;
    }
    if ((*at == 'S' || *at == 'T') && (is_digit(at[1]) || at[1] == '_' || at[0] == 'S')) {
        at++; /* a substitution or template parameter: St, S_, S1A_, T0_ */
        if (*at >= 'a' && *at <= 'z')
            return at + 1;
        while (is_digit(*at) || (*at >= 'A' && *at <= 'Z'))
            at++;
        return *at == '_' ? at + 1 : NULL;
    }
    if (*at == 'L' && at[1] >= 'a' && at[1] <= 'z') { /* a literal: Li42E */
        while (at < end && *at != 'E')
            at++;
        return at;
    }
    return at + 1;
}

char destructor_kind(const char *mangled)
{
    size_t length = text_length(mangled);
    if (length < 7 || mangled[0] != '_' || mangled[1] != 'Z')
        return 0;
    const char *end = mangled + length, *last = end - 4;
    if (last[0] != 'D' || last[1] < '0' || last[1] > '2' || last[2] != 'E' || last[3] != 'v')
        return 0;
    for (const char *at = mangled + 2; at != NULL && at <= last; at = next_part(at, end))
        if (at == last)
            return last[1];
    return 0;
}

_Bool destructor_is_standard(const char *mangled)
{
    static const char *const names[] = {"_ZNSt", "_ZNSs", "_ZN9__gnu_cxx", "_ZN10__cxxabiv1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_find(mangled, names[i]) == mangled)
            return 1;
    return 0;
}
