/* Destructor: see destructor.h. */
#include "patch/destructor.h"

#include "base/text.h"

#define DEPTH_MOST 64

/* Reads a mangled name token by token, as far as is needed to know where tokens begin (Itanium C++
 * ABI, 5.1). */
struct reader {
    const char *name;
    size_t at, end;
    char open[DEPTH_MOST]; /* what the next 'E's close */
    size_t depth;
    bool lost;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static char peek(const struct reader *reader, size_t ahead)
{
    return reader->at + ahead < reader->end ? reader->name[reader->at + ahead] : '\0';
}

static void open_one(struct reader *reader, char what)
{
    if (reader->depth == DEPTH_MOST)
        reader->lost = true;
    else
        reader->open[reader->depth++] = what;
}

static bool is_inside(const struct reader *reader, char what)
{
    return reader->depth > 0 && reader->open[reader->depth - 1] == what;
}

static void skip_digits(struct reader *reader)
{
    while (is_digit(peek(reader, 0)))
        reader->at++;
}

/* 0, A_ and 1A_ after S and T, and the numbers of lambdas. */
static void skip_sequence(struct reader *reader)
{
    while (is_digit(peek(reader, 0)) || (peek(reader, 0) >= 'A' && peek(reader, 0) <= 'Z'))
        reader->at++;
    if (peek(reader, 0) == '_')
        reader->at++;
    else
        reader->lost = true;
}

/* A name behind its length. */
static void skip_counted(struct reader *reader)
{
    size_t length = 0;
    for (; is_digit(peek(reader, 0)) && length < reader->end; reader->at++)
        length = length * 10 + (size_t)(peek(reader, 0) - '0');
    if (length == 0 || length > reader->end - reader->at)
        reader->lost = true;
    else
        reader->at += length;
}

/* A literal among template arguments: its type, then digits, then 'E'. Elsewhere 'L' marks a name
 * that is local to its file. */
static void read_literal(struct reader *reader)
{
    reader->at++;
    if (!is_inside(reader, 'I') && !is_inside(reader, 'J'))
        return;
    open_one(reader, 'L');
    if (is_digit(peek(reader, 0)))
        skip_counted(reader);
    else if (is_lower(peek(reader, 0)))
        reader->at++;
    else if (peek(reader, 0) == 'S' && !is_lower(peek(reader, 1)))
        reader->at++, skip_sequence(reader);
    else if (peek(reader, 0) == 'N')
        return; /* the digits come behind what this opens */
    else
        reader->lost = true;
    if (peek(reader, 0) == 'n')
        reader->at++;
    skip_digits(reader);
}

static void close_one(struct reader *reader)
{
    reader->at++;
    if (reader->depth == 0) {
        reader->lost = true;
        return;
    }
    char closed = reader->open[--reader->depth];
    if (closed == 'U')
        skip_sequence(reader);
    if (closed == 'N' && is_inside(reader, 'L')) {
        if (peek(reader, 0) == 'n')
            reader->at++;
        skip_digits(reader);
    }
}

static void read_two(struct reader *reader)
{
    char first = peek(reader, 0), second = peek(reader, 1);
    reader->at += 2;
    if (first == 'U' && second == 'l')
        open_one(reader, 'U');
    else if (first == 'U' && second == 't')
        skip_sequence(reader);
    else if (first == 'D' && second == 'v')
        skip_digits(reader);
    else if (first == 'U' || (first == 'D' && (second == 'T' || second == 't' || second == 'F' ||
                                               second == 'B' || second == 'O')))
        reader->lost = true; /* expressions and extensions */
}

static void read_token(struct reader *reader)
{
    char c = peek(reader, 0), next = peek(reader, 1);
    if (is_digit(c)) {
        skip_counted(reader);
    } else if ((c == 'S' || c == 'T') && !is_lower(next)) {
        reader->at++;
        skip_sequence(reader);
    } else if (c == 'S' || c == 'C' || c == 'D' || c == 'U' ||
               (is_lower(c) && is_inside(reader, 'N'))) {
        read_two(reader); /* in a nested name, small letters are operators */
    } else if (c == 'L') {
        read_literal(reader);
    } else if (c == 'E') {
        close_one(reader);
    } else if (c == 'X') {
        reader->lost = true;
    } else if (c == 'A' || c == '_') {
        reader->at++;
        skip_digits(reader);
    } else {
        if (c == 'N' || c == 'I' || c == 'J' || c == 'F' || c == 'Z')
            open_one(reader, c);
        reader->at++;
    }
}

/* Whether a token begins at `at`, in a nested name. */
static bool is_token(const char *name, size_t at, bool *lost)
{
    struct reader reader = {.name = name, .at = 2, .end = at + 2};
    while (reader.at < at && !reader.lost)
        read_token(&reader);
    *lost = reader.lost;
    return reader.at == at && is_inside(&reader, 'N');
}

/* Whether some bytes from a length on are a name that ends at `end`: a cautious answer for names
 * that the reader is lost in. */
static bool may_be_counted(const char *name, size_t end)
{
    for (size_t first = 4; first < end; first++) {
        size_t length = 0, unit = 1;
        for (size_t at = first; is_digit(name[at - 1]) && unit < 100000000; at--, unit *= 10) {
            length += (size_t)(name[at - 1] - '0') * unit;
            if (length == end - first)
                return true;
        }
    }
    return false;
}

/* Suffixes of link-time optimisation change the name only; others tell a part, or a copy. */
static bool is_whole(const char *suffix)
{
    return *suffix == '\0' ||
           ((text_begins(suffix, ".lto_priv.") || text_begins(suffix, ".llvm.")) &&
            text_find(suffix, ".cold") == NULL);
}

bool destructor_parse(const char *name, struct destructor *destructor)
{
    size_t length = 0;
    bool lost;
    if (name[0] != '_' || name[1] != 'Z' || (name[2] != 'N' && name[2] != 'Z'))
        return false;
    while (name[length] != '\0' && name[length] != '.')
        length++;
    if (length < sizeof "_ZN1AD1Ev" - 1)
        return false;
    const char *end = name + length - 4;
    if (end[0] != 'D' || end[1] < '0' || end[1] > '2' || end[2] != 'E' || end[3] != 'v' ||
        !is_whole(name + length))
        return false;
    destructor->kind = (enum destructor_kind)(end[1] - '0');
    destructor->class_length = length - 4;
    if (is_token(name, destructor->class_length, &lost))
        return true;
    return lost && !may_be_counted(name, destructor->class_length + 2);
}
