/* Print: a scan as text for a terminal. Called by scan.c. */
#include "outlive/scan/scan.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_WIDTH 16
#define SEEN_WIDTH 14
#define LINE_WIDTH 100

/* Names come from the file: what would move a terminal's cursor is shown as '?'. */
static void put_clean(const char *text, size_t length, FILE *out)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        fputc(c < ' ' || c == 0x7f ? '?' : c, out);
    }
}

/* Words, broken into lines that start at `indent`; the first line stands there already. */
static void put_wrapped(const char *text, size_t indent, FILE *out)
{
    size_t column = indent;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > indent && column + 1 + length > LINE_WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        put_clean(text, length, out);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* A text that grows; what memory does not suffice for is left out. */
struct words {
    char *data;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
    char *more = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&more, format, arguments);
    va_end(arguments);
    char *grown = length < 0 ? NULL : realloc(words->data, words->length + (size_t)length + 1);
    if (grown != NULL) {
        memcpy(grown + words->length, more, (size_t)length + 1);
        words->data = grown;
        words->length += (size_t)length;
    }
    if (length >= 0)
        free(more);
}

static void finish(struct words *words, size_t indent, FILE *out)
{
    put_wrapped(words->data == NULL ? "" : words->data, indent, out);
    free(words->data);
    *words = (struct words){NULL, 0};
}

static void row(const char *label, const char *seen, struct words *words, FILE *out)
{
    fprintf(out, "  %-*s%-*s", LABEL_WIDTH, label, SEEN_WIDTH, seen);
    finish(words, 2 + LABEL_WIDTH + SEEN_WIDTH, out);
}

static void line(const char *label, struct words *words, FILE *out)
{
    fprintf(out, "  %-*s", LABEL_WIDTH, label);
    finish(words, 2 + LABEL_WIDTH, out);
}

/* 26,739. In static storage, for several in one call of add(). */
static const char *number(size_t value)
{
    static char buffers[8][32];
    static unsigned next;
    char digits[24], *to = buffers[next++ % 8], *start = to;
    int length = snprintf(digits, sizeof digits, "%zu", value);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return start;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void add_names(struct words *words, const struct scan *scan, unsigned groups,
                      enum name_place place)
{
    const char *between = "";
    for (size_t i = 0; i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & groups) == 0 || !name_is_at(name, place))
            continue;
        add(words, "%s%s", between, name->name);
        between = ", ";
    }
}

/* Entries inside that belong to the group, and how many of them can be patched. */
static void add_entries(struct words *words, const struct scan *scan, unsigned groups)
{
    size_t count = 0, patchable = 0;
    for (size_t i = 0; i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & groups) == 0 || !name_is_at(name, NAME_INSIDE))
            continue;
        const struct code_function *function = code_find(&scan->code, name->address);
        count++;
        patchable += function != NULL && function->refusal == PATCH_FINE;
    }
    if (count == 0)
        return;
    if (groups == NAME_EXTENSION)
        add(words, " Its own calls, too.");
    if (!scan->code.judged)
        add(words, " Entries: ");
    else if (patchable == count)
        add(words, " All entries can be patched: ");
    else
        add(words, " %s of %s entries can be patched: ", number(patchable), number(count));
    add_names(words, scan, groups, NAME_INSIDE);
    add(words, ".");
}

static void print_head(const struct scan *scan, FILE *out)
{
    const struct file_facts *facts = &scan->facts;
    struct words words = {NULL, 0};
    add(&words, "%s: a %s%s, 64-bit x86, %s", scan->path,
        facts->is_static ? "statically linked " : "",
        facts->is_library ? "shared library" : "program",
        facts->is_pie ? "position-independent" : "at a fixed address");
    finish(&words, 0, out);
    const char *refusal = scan_refusal(scan);
    if (refusal != NULL) {
        add(&words, "`outlive run` does not take it: %s", refusal);
        finish(&words, 0, out);
    }
}

static const char *maker(const struct scan *scan)
{
    if (scan->allocator != NULL)
        return scan->allocator;
    return scan->code.source == CODE_FROM_FRAMES ? "which one, a stripped file does not tell"
                                                 : "a home-made one";
}

static void print_malloc(const struct scan *scan, FILE *out)
{
    const char *what = scan->facts.is_library ? "library" : "program";
    const struct scan_provider *provider = &scan->malloc_provider;
    const char *seen = "by patching";
    struct words words = {NULL, 0};
    switch (scan_heap_place(scan)) {
    case NAME_EXPORTED:
        add(&words, "Defined in the %s itself (%s), and exported: libraries use it, too.", what,
            maker(scan));
        if (scan->facts.is_library)
            seen = "by preload";
        add_entries(&words, scan, NAME_HEAP);
        add_entries(&words, scan, NAME_EXTENSION);
        break;
    case NAME_INSIDE:
        add(&words, "Defined in the %s itself (%s), but not exported: libraries use another.", what,
            maker(scan));
        add_entries(&words, scan, NAME_HEAP);
        add_entries(&words, scan, NAME_EXTENSION);
        break;
    case NAME_IMPORTED:
        seen = "by preload";
        add(&words, "Imported: ");
        add_names(&words, scan, NAME_HEAP, NAME_IMPORTED);
        if (provider->name == NULL)
            add(&words, "; no needed library defines malloc.");
        else
            add(&words, "; malloc comes from %s%s%s%s.", provider->name,
                provider->allocator == NULL ? "" : " (",
                provider->allocator == NULL ? "" : provider->allocator,
                provider->allocator == NULL ? "" : ")");
        break;
    default:
        seen = "-";
        add(&words, "Not called by this file.");
    }
    const char *refusal = scan_heap_refusal(scan);
    if (refusal != NULL)
        add(&words, " Left alone: %s.", refusal);
    row("malloc, free", scan->facts.is_static || refusal != NULL ? "no" : seen, &words, out);
}

static void print_new(const struct scan *scan, FILE *out)
{
    const struct scan_provider *provider = &scan->new_provider;
    const char *seen = "by patching";
    struct words words = {NULL, 0};
    size_t inside = names_count(&scan->names, NAME_OPERATOR, NAME_INSIDE);
    size_t imported = names_count(&scan->names, NAME_OPERATOR, NAME_IMPORTED);
    size_t all = inside + imported + names_count(&scan->names, NAME_OPERATOR, NAME_ABSENT);
    switch (scan_operators_place(scan)) {
    case NAME_EXPORTED:
    case NAME_INSIDE:
        add(&words, "%s of %s operators inside%s.", number(inside), number(all),
            names_count(&scan->names, NAME_LIBSTDCXX, NAME_INSIDE) > 0
                ? ", with the C++ library itself"
                : "");
        if (imported > 0)
            add(&words, " %s imported.", number(imported));
        add_entries(&words, scan, NAME_OPERATOR);
        if (scan->facts.is_library && scan_operators_place(scan) == NAME_EXPORTED)
            seen = "by preload";
        break;
    case NAME_IMPORTED:
        seen = "by preload";
        add(&words, "Imported: %s of %s operators; operator new comes from %s.", number(imported),
            number(all), provider->name == NULL ? "no library that is found" : provider->name);
        break;
    default:
        seen = "-";
        add(&words, "Not called by this file.");
    }
    row("new, delete", scan->facts.is_static && seen[0] != '-' ? "no" : seen, &words, out);
}

static void print_destructors(const struct scan *scan, FILE *out)
{
    const struct code *code = &scan->code;
    struct words words = {NULL, 0};
    if (code->destructor_entries == 0) {
        add(&words, code->source == CODE_FROM_FRAMES ? "None has a name here." : "There are none.");
        row("destructors", "-", &words, out);
        return;
    }
    add(&words, "%s entries of %s classes (%s base, %s complete, %s deleting)",
        number(code->destructor_entries), number(code->classes),
        number(code->destructors[DESTRUCTOR_BASE]), number(code->destructors[DESTRUCTOR_COMPLETE]),
        number(code->destructors[DESTRUCTOR_DELETING]));
    if (code->judged && code->destructor_patchable == code->destructor_entries)
        add(&words, ", all of which can be patched");
    else if (code->judged)
        add(&words, ", %s of which can be patched", number(code->destructor_patchable));
    add(&words, ". Inlined ones are not seen; free and operator delete are.");
    row("destructors", scan->facts.is_static ? "no" : "by patching", &words, out);
}

static void print_statics(const struct scan *scan, FILE *out)
{
    const struct code *code = &scan->code;
    const struct known_name *atexit_row = names_find(&scan->names, "__cxa_atexit");
    bool imported = atexit_row->place == NAME_IMPORTED;
    struct words words = {NULL, 0};
    if (imported)
        add(&words, "%s call%s of __cxa_atexit in the code register destructors",
            number(scan->registrations), plural(scan->registrations));
    else
        add(&words, "__cxa_atexit is not imported");
    if (scan->thread_registrations > 0)
        add(&words, "; %s register%s those of thread-local objects",
            number(scan->thread_registrations), scan->thread_registrations == 1 ? "s" : "");
    if (code->initialisers > 0)
        add(&words, "; %s source file%s make%s static objects at start", number(code->initialisers),
            plural(code->initialisers), code->initialisers == 1 ? "s" : "");
    if (code->guards > 0)
        add(&words, "; %s static object%s in functions are made at the first call",
            number(code->guards), plural(code->guards));
    add(&words, ".");
    bool hooked = (atexit_row->groups & NAME_HOOK) != 0;
    row("static objects", !imported ? "-" : hooked ? "by preload" : "no", &words, out);
}

static void print_hooks(const struct scan *scan, FILE *out)
{
    const unsigned others = NAME_HOOK & ~(NAME_HEAP | NAME_OPERATOR);
    struct words words = {NULL, 0};
    size_t all = 0, imported = 0;
    const char *between = "";
    for (size_t i = 0; i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & others) == 0 || (name->groups & (NAME_HEAP | NAME_OPERATOR)) != 0)
            continue;
        all++;
        imported += name->place == NAME_IMPORTED;
    }
    add(&words, "%s of %s hooked functions are imported", number(imported), number(all));
    add(&words, imported > 0 ? ": " : ".");
    for (size_t i = 0; i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & others) == 0 || (name->groups & (NAME_HEAP | NAME_OPERATOR)) != 0 ||
            name->place != NAME_IMPORTED)
            continue;
        add(&words, "%s%s", between, name->name);
        between = ", ";
    }
    row("threads, locks",
        scan->facts.is_static ? "no"
        : imported > 0        ? "by preload"
                              : "-",
        &words, out);
}

static void print_functions(const struct scan *scan, FILE *out)
{
    static const char *const sources[] = {[CODE_FROM_SYMTAB] = "told by .symtab",
                                          [CODE_FROM_DEBUG_FILE] = "told by the debug file",
                                          [CODE_FROM_FRAMES] =
                                              "told by .eh_frame, parts of functions among them"};
    const struct code *code = &scan->code;
    struct words words = {NULL, 0};
    add(&words, "%s, %s", number(code->count), sources[code->source]);
    if (code->judged)
        add(&words, "; %s can be patched (%.2f%%)", number(code->refused[PATCH_FINE]),
            code->count == 0 ? 0.0
                             : 100.0 * (double)code->refused[PATCH_FINE] / (double)code->count);
    row("all functions", scan->facts.is_static ? "no" : "by patching", &words, out);
}

static void print_refused(const struct scan *scan, bool each, FILE *out)
{
    const struct code *code = &scan->code;
    if (!code->judged || code->refused[PATCH_FINE] == code->count)
        return;
    fputs("\nCannot be patched\n", out);
    for (unsigned i = PATCH_FINE + 1; i < CODE_REFUSALS; i++)
        if (code->refused[i] > 0)
            fprintf(out, "  %8s  %s\n", number(code->refused[i]), code_refusal_text(i));
    if (!each) {
        fputs("  `outlive scan --refused` lists them.\n", out);
        return;
    }
    for (size_t i = 0; i < code->count; i++) {
        const struct code_function *function = &code->functions[i];
        if (function->refusal == PATCH_FINE)
            continue;
        const char *name = function->name == NULL ? "(no name)" : demangled(function->name);
        fprintf(out, "  0x%lx  %-16s ", (unsigned long)function->start,
                code_refusal_name(function->refusal));
        put_clean(name, strlen(name), out);
        fprintf(out, ", %lu byte%s\n", (unsigned long)function->size, plural(function->size));
    }
}

static void print_debug(const struct scan *scan, FILE *out)
{
    const struct file_facts *facts = &scan->facts;
    struct words words = {NULL, 0};
    fputs("\nFor names and lines in reports\n", out);
    add(&words, facts->symtab         ? ".symtab"
                : facts->debug_symtab ? ".symtab in the separate debug file"
                                      : "none: exported functions only (.dynsym)");
    line("symbols", &words, out);
    add(&words, facts->dwarf         ? "in the file"
                : facts->debug_dwarf ? "in the separate debug file"
                                     : "none");
    line("debug info", &words, out);
    if (scan->file.debug.size != 0) {
        add(&words, "%s", scan->file.debug_path);
        line("debug file", &words, out);
    }
    for (size_t i = 0; i < facts->build_id_length; i++)
        add(&words, "%02x", facts->build_id[i]);
    if (facts->build_id_length == 0)
        add(&words, "none");
    line("build-id", &words, out);
}

static void print_build(const struct scan *scan, FILE *out)
{
    static const char *const relro[] = {"none", "partial RELRO", "full RELRO"};
    const struct file_facts *facts = &scan->facts;
    struct words words = {NULL, 0};
    fputs("\nBuilt and linked\n", out);
    for (size_t i = 0; i < facts->compiler_count; i++)
        add(&words, "%s%s", i == 0 ? "" : "; ", facts->compilers[i]);
    if (facts->compiler_count > 0)
        line("compiler", &words, out);
    if (facts->lto != NULL)
        add(&words, "yes: %s", facts->lto);
    else
        add(&words, "no sign of it%s",
            facts->symtab || facts->debug_symtab ? "" : " (stripped files show none)");
    line("LTO", &words, out);
    if (!facts->is_static) {
        for (size_t i = 0, seen = 0; i < scan->library_count; i++)
            if (scan->libraries[i].direct)
                add(&words, "%s%s%s", seen++ == 0 ? "" : ", ", scan->libraries[i].name,
                    scan->libraries[i].path == NULL ? " (not found)" : "");
        if (words.length == 0)
            add(&words, "no library");
        line("needs", &words, out);
    }
    add(&words, "%s%s%s%s%s", facts->relro == RELRO_NONE ? "no RELRO" : relro[facts->relro],
        facts->bound_now ? ", bound at start" : "", facts->ibt ? ", IBT" : "",
        facts->shstk ? ", SHSTK" : "", facts->ibt || facts->shstk ? "" : ", neither IBT nor SHSTK");
    line("hardening", &words, out);
}

void scan_print(const struct scan *scan, bool refused, FILE *out)
{
    struct scan_warning warnings[WARNINGS_MOST];
    struct words words = {NULL, 0};
    print_head(scan, out);
    fprintf(out, "\n  %-*s%s\n", LABEL_WIDTH, "What", "Seen");
    print_malloc(scan, out);
    print_new(scan, out);
    print_destructors(scan, out);
    print_statics(scan, out);
    print_hooks(scan, out);
    print_functions(scan, out);
    fputs(
        "\n  by preload: the calls reach a preloaded library; by patching: a jump at each entry.\n",
        out);
    print_refused(scan, refused, out);
    print_debug(scan, out);
    print_build(scan, out);
    size_t count = scan_warnings(scan, warnings);
    if (count > 0)
        fputs("\nWarnings\n", out);
    for (size_t i = 0; i < count; i++) {
        fputs("  - ", out);
        add(&words, "%s", warnings[i].text);
        finish(&words, 4, out);
    }
}
