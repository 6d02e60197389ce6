/* Suppression: see suppression.h. */
#include "report/suppression.h"

#include "base/output.h"
#include "base/system.h"
#include "report/finding.h"

#include <fcntl.h>

static struct suppression suppressions[SUPPRESSIONS];
static size_t suppression_count;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool known_kind(const char *kind)
{
    if (text_equal(kind, "*"))
        return true;
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (text_equal(kind, kind_rows[i].name))
            return true;
    return false;
}

bool suppression_parse(struct suppression *suppression, const char *line, size_t length,
                       const char **error)
{
    *suppression = (struct suppression){0};
    while (length > 0 && is_blank(line[0]))
        line++, length--;
    while (length > 0 && is_blank(line[length - 1]))
        length--;
    if (length == 0 || line[0] == '#')
        return true;
    size_t colon = 0;
    while (colon < length && line[colon] != ':')
        colon++;
    if (colon == length || colon + 1 == length) {
        *error = "is not of the form kind:pattern";
        return false;
    }
    if (colon >= sizeof suppression->kind || length - colon - 1 >= SUPPRESSION_SIZE) {
        *error = "is too long";
        return false;
    }
    __builtin_memcpy(suppression->kind, line, colon);
    __builtin_memcpy(suppression->pattern, line + colon + 1, length - colon - 1);
    if (!known_kind(suppression->kind)) {
        *error = "names a kind that does not exist (see docs/kinds.md)";
        suppression->kind[0] = '\0';
        return false;
    }
    return true;
}

static void take_line(const char *path, uint64_t number, const char *line, size_t length)
{
    char detail[1400];
    struct text text = text_in(detail, sizeof detail);
    const char *error = NULL;
    if (suppression_count == SUPPRESSIONS) {
        output_tell_once("too many suppressions: only the first 256 are used", path);
        return;
    }
    struct suppression *suppression = &suppressions[suppression_count];
    if (!suppression_parse(suppression, line, length, &error)) {
        text_format(&text, "%s line %lu %s", path, number, error);
        output_tell_once("a suppression is ignored", text.data);
    } else if (suppression->kind[0] != '\0') {
        suppression_count++;
    }
}

void suppressions_start(const char *path)
{
    static char content[64 * 1024];
    if (path[0] == '\0')
        return;
    long file = system_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) {
        output_tell_once("cannot read the file of suppressions; nothing is suppressed", path);
        return;
    }
    size_t held = 0;
    long got;
    while (held < sizeof content &&
           (got = system_read((int)file, content + held, sizeof content - held)) > 0)
        held += (size_t)got;
    (void)system_close((int)file);
    if (held == sizeof content)
        output_tell_once("the file of suppressions is longer than 64 KiB: its end is ignored",
                         path);
    size_t start = 0;
    uint64_t number = 1;
    for (size_t i = 0; i <= held; i++)
        if (i == held || content[i] == '\n') {
            take_line(path, number++, content + start, i - start);
            start = i + 1;
        }
}

size_t suppressions_count(void)
{
    return suppression_count;
}

struct suppression *suppression_at(size_t index)
{
    return &suppressions[index];
}

void suppressions_write(struct text *text)
{
    for (size_t i = 0; i < suppression_count; i++)
        if (suppressions[i].hits > 0)
            text_format(text, "==%d==outlive: suppressed %lu by %s:%s\n", system_process(),
                        suppressions[i].hits, suppressions[i].kind, suppressions[i].pattern);
}
