/* Options: see options.h. */
#include "base/options.h"

#include "base/text.h"

static const struct option_row rows[] = {
#define OPTION_FLAG(name, value, help) {#name, #value, NULL, help, 0, 1, OPTION_IS_FLAG},
#define OPTION_NUMBER(name, value, minimum, maximum, help)                                         \
    {#name, #value, NULL, help, minimum, maximum, OPTION_IS_NUMBER},
#define OPTION_TEXT(name, value, help) {#name, value, NULL, help, 0, 0, OPTION_IS_TEXT},
#define OPTION_CHOICE(name, value, choices, help)                                                  \
    {#name, value, choices, help, 0, 0, OPTION_IS_CHOICE},
#include "base/options.def"
#undef OPTION_FLAG
#undef OPTION_NUMBER
#undef OPTION_TEXT
#undef OPTION_CHOICE
};

#define ROWS (sizeof rows / sizeof *rows)

/* As a person writes it, and as options_parse() reads it. */
static void add_size(struct text *text, uint64_t number)
{
    static const struct {
        uint64_t unit;
        char suffix;
    } units[] = {{GIBI, 'G'}, {MEBI, 'M'}, {KIBI, 'K'}};
    for (size_t i = 0; i < sizeof units / sizeof *units && number >= 64 * KIBI; i++)
        if (number % units[i].unit == 0) {
            text_add_decimal(text, number / units[i].unit);
            text_add_char(text, units[i].suffix);
            return;
        }
    text_add_decimal(text, number);
}

const struct option_row *options_rows(size_t *count)
{
    static const uint64_t numbers[] = {
#define OPTION_FLAG(name, value, help) 0,
#define OPTION_NUMBER(name, value, minimum, maximum, help) value,
#define OPTION_TEXT(name, value, help) 0,
#define OPTION_CHOICE(name, value, choices, help) 0,
#include "base/options.def"
#undef OPTION_FLAG
#undef OPTION_NUMBER
#undef OPTION_TEXT
#undef OPTION_CHOICE
    };
    static struct option_row shown[ROWS];
    static char initials[ROWS][24];
    for (size_t i = 0; i < ROWS; i++) {
        shown[i] = rows[i];
        if (rows[i].kind != OPTION_IS_NUMBER)
            continue;
        struct text text = text_in(initials[i], sizeof initials[i]);
        add_size(&text, numbers[i]); /* the row has the source's `32 * MEBI` */
        shown[i].initial = initials[i];
    }
    *count = ROWS;
    return shown;
}

static void *field_of(struct options *options, size_t row)
{
    static const size_t offsets[] = {
#define OPTION_FLAG(name, value, help) offsetof(struct options, name),
#define OPTION_NUMBER(name, value, minimum, maximum, help) offsetof(struct options, name),
#define OPTION_TEXT(name, value, help) offsetof(struct options, name),
#define OPTION_CHOICE(name, value, choices, help) offsetof(struct options, name),
#include "base/options.def"
#undef OPTION_FLAG
#undef OPTION_NUMBER
#undef OPTION_TEXT
#undef OPTION_CHOICE
    };
    return (char *)options + offsets[row];
}

static void set_text(void *field, size_t size, const char *value, size_t length)
{
    struct text text = text_in(field, size);
    text_add_bytes(&text, value, length);
}

void options_default(struct options *options)
{
    __builtin_memset(options, 0, sizeof *options);
#define OPTION_FLAG(name, value, help) options->name = (value);
#define OPTION_NUMBER(name, value, minimum, maximum, help) options->name = (value);
#define OPTION_TEXT(name, value, help)                                                             \
    set_text(options->name, sizeof options->name, value, sizeof value - 1);
#define OPTION_CHOICE(name, value, choices, help)                                                  \
    set_text(options->name, sizeof options->name, value, sizeof value - 1);
#include "base/options.def"
#undef OPTION_FLAG
#undef OPTION_NUMBER
#undef OPTION_TEXT
#undef OPTION_CHOICE
}

struct word {
    const char *start;
    size_t length;
};

/* Not memcmp: the program may have one of its own, which may not be ready this early. */
static bool same(struct word word, const char *string)
{
    for (size_t i = 0; i < word.length; i++)
        if (string[i] == '\0' || word.start[i] != string[i])
            return false;
    return string[word.length] == '\0';
}

static bool is_choice(const char *choices, struct word value)
{
    while (true) {
        size_t length = 0;
        while (choices[length] != '\0' && choices[length] != '|')
            length++;
        size_t equal = 0;
        while (equal < length && equal < value.length && choices[equal] == value.start[equal])
            equal++;
        if (equal == length && equal == value.length)
            return true;
        if (choices[length] == '\0')
            return false;
        choices += length + 1;
    }
}

static bool set_value(struct options *options, size_t index, struct word value, struct text *error)
{
    const struct option_row *row = &rows[index];
    void *field = field_of(options, index);
    uint64_t number;
    switch (row->kind) {
    case OPTION_IS_FLAG:
        if (value.length != 1 || (value.start[0] != '0' && value.start[0] != '1')) {
            text_format(error, "option %s takes 0 or 1, not '", row->name);
            break;
        }
        *(bool *)field = value.start[0] == '1';
        return true;
    case OPTION_IS_NUMBER:
        if (!text_parse_size(value.start, value.length, &number) || number < row->minimum ||
            number > row->maximum) {
            text_format(error, "option %s takes a number from %lu to ", row->name, row->minimum);
            add_size(error, row->maximum);
            text_add(error, ", not '");
            break;
        }
        *(uint64_t *)field = number;
        return true;
    case OPTION_IS_TEXT:
        if (value.length >= OPTION_TEXT_SIZE) {
            text_format(error, "option %s takes at most %d bytes, not '", row->name,
                        OPTION_TEXT_SIZE - 1);
            break;
        }
        set_text(field, OPTION_TEXT_SIZE, value.start, value.length);
        return true;
    default:
        if (!is_choice(row->choices, value)) {
            text_format(error, "option %s takes one of %s, not '", row->name, row->choices);
            break;
        }
        set_text(field, sizeof options->guard, value.start, value.length);
        return true;
    }
    text_add_bytes(error, value.start, value.length < 80 ? value.length : 80);
    text_add(error, "'");
    return false;
}

static bool is_separator(char c)
{
    return c == ':' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool options_parse(struct options *options, const char *string, char *error, size_t error_size)
{
    struct text text = text_in(error, error_size);
    while (true) {
        while (is_separator(*string))
            string++;
        if (*string == '\0')
            return true;
        struct word name = {string, 0}, value;
        while (*string != '\0' && *string != '=' && !is_separator(*string))
            string++;
        name.length = (size_t)(string - name.start);
        size_t index = 0;
        while (index < ROWS && !same(name, rows[index].name))
            index++;
        if (index == ROWS || *string != '=') {
            text_add(&text, index == ROWS ? "unknown option '" : "no value for option '");
            text_add_bytes(&text, name.start, name.length < 80 ? name.length : 80);
            text_add(&text,
                     index == ROWS ? "'; `outlive run --help` lists all" : "'; write name=value");
            return false;
        }
        char quote = *++string;
        if (quote == '\'' || quote == '"') {
            value.start = ++string;
            while (*string != '\0' && *string != quote)
                string++;
            value.length = (size_t)(string - value.start);
            if (*string == '\0') {
                text_format(&text, "the value of option %s lacks its closing %c", rows[index].name,
                            quote);
                return false;
            }
            string++;
        } else {
            value.start = string;
            while (*string != '\0' && !is_separator(*string))
                string++;
            value.length = (size_t)(string - value.start);
        }
        if (!set_value(options, index, value, &text))
            return false;
    }
}
