/* JSON: a scan as one JSON object; the schema is docs/scan.md. Called by scan.c. */
#include "outlive/scan/scan.h"

#include <string.h>

#define SCHEMA_VERSION 1

/* Where the next value goes: after a comma, or first. */
struct json {
    FILE *out;
    bool first;
};

/* Length of the UTF-8 sequence at `text`, 0 where there is none (RFC 3629, without the finer rules
 * that readers do not mind). */
static size_t sequence(const unsigned char *text)
{
    size_t length = text[0] >= 0xc2 && text[0] < 0xe0   ? 2
                    : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                    : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                        : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
        return 0;
    return length;
}

static void put_string(FILE *out, const char *string)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)string; *at != '\0';) {
        size_t length = *at < 0x80 ? 1 : sequence(at);
        if (length == 0)
            fputs("\\ufffd", out);
        else if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(out, "\\u%04x", *at);
        else
            fwrite(at, 1, length, out);
        at += length == 0 ? 1 : length;
    }
    fputc('"', out);
}

static void next(struct json *json, const char *key)
{
    if (!json->first)
        fputc(',', json->out);
    json->first = false;
    if (key != NULL)
        fprintf(json->out, "\"%s\":", key);
}

static void open_one(struct json *json, const char *key, char bracket)
{
    next(json, key);
    fputc(bracket, json->out);
    json->first = true;
}

static void close_one(struct json *json, char bracket)
{
    fputc(bracket, json->out);
    json->first = false;
}

/* Absent where there is no string. */
static void put(struct json *json, const char *key, const char *value)
{
    if (value == NULL || (key != NULL && *value == '\0'))
        return;
    next(json, key);
    put_string(json->out, value);
}

static void put_bool(struct json *json, const char *key, bool value)
{
    next(json, key);
    fputs(value ? "true" : "false", json->out);
}

static void put_number(struct json *json, const char *key, uint64_t value)
{
    next(json, key);
    fprintf(json->out, "%lu", (unsigned long)value);
}

static void put_names(struct json *json, const char *key, const struct scan *scan, unsigned groups,
                      enum name_place place)
{
    open_one(json, key, '[');
    for (size_t i = 0; i < scan->names.count; i++)
        if ((scan->names.rows[i].groups & groups) != 0 && name_is_at(&scan->names.rows[i], place))
            put(json, NULL, scan->names.rows[i].name);
    close_one(json, ']');
}

static const char *place_name(enum name_place place)
{
    static const char *const names[] = {"absent", "imported", "inside", "exported"};
    return names[place];
}

static void put_file(struct json *json, const struct scan *scan)
{
    const struct file_facts *facts = &scan->facts;
    char id[2 * ELF_BUILD_ID_SIZE + 1] = "";
    for (size_t i = 0; i < facts->build_id_length; i++)
        snprintf(id + 2 * i, 3, "%02x", facts->build_id[i]);
    put(json, "file", scan->path);
    put_number(json, "size", scan->file.image.size);
    put(json, "build_id", id);
    put(json, "kind", facts->is_library ? "library" : "program");
    put_bool(json, "runs", scan_refusal(scan) == NULL);
    put(json, "refused_because", scan_refusal(scan));
    open_one(json, "linking", '{');
    put_bool(json, "static", facts->is_static);
    put_bool(json, "position_independent", facts->is_pie);
    put(json, "interpreter", facts->interpreter);
    put(json, "soname", facts->soname);
    open_one(json, "libraries", '[');
    for (size_t i = 0; i < scan->library_count; i++) {
        open_one(json, NULL, '{');
        put(json, "name", scan->libraries[i].name);
        put(json, "path", scan->libraries[i].path);
        put_bool(json, "direct", scan->libraries[i].direct);
        close_one(json, '}');
    }
    close_one(json, ']');
    close_one(json, '}');
}

static void put_entries(struct json *json, const char *key, const struct scan *scan,
                        unsigned groups)
{
    open_one(json, key, '[');
    for (size_t i = 0; i < scan->names.count; i++) {
        const struct known_name *name = &scan->names.rows[i];
        if ((name->groups & groups) == 0 || !name_is_at(name, NAME_INSIDE))
            continue;
        const struct code_function *function = code_find(&scan->code, name->address);
        open_one(json, NULL, '{');
        put(json, "name", name->name);
        put_bool(json, "exported", name->place == NAME_EXPORTED);
        if (scan->code.judged)
            put(json, "patching",
                code_refusal_name(function == NULL ? (unsigned)CODE_NOT_IN_FILE
                                                   : function->refusal));
        close_one(json, '}');
    }
    close_one(json, ']');
}

static void put_heap(struct json *json, const struct scan *scan)
{
    open_one(json, "malloc", '{');
    put(json, "place", place_name(scan_heap_place(scan)));
    put(json, "allocator", scan->allocator);
    put(json, "refused", scan_heap_refusal(scan));
    put_names(json, "imported", scan, NAME_HEAP, NAME_IMPORTED);
    put_entries(json, "inside", scan, NAME_HEAP);
    put_entries(json, "extensions_inside", scan, NAME_EXTENSION);
    put_names(json, "extensions_imported", scan, NAME_EXTENSION, NAME_IMPORTED);
    if (scan_heap_place(scan) == NAME_IMPORTED) {
        put(json, "provider", scan->malloc_provider.name);
        put(json, "provider_path", scan->malloc_provider.path);
        put(json, "provider_allocator", scan->malloc_provider.allocator);
    }
    close_one(json, '}');
    open_one(json, "operators", '{');
    put(json, "place", place_name(scan_operators_place(scan)));
    put_bool(json, "cxx_library_inside",
             names_count(&scan->names, NAME_LIBSTDCXX, NAME_INSIDE) > 0);
    put_names(json, "imported", scan, NAME_OPERATOR, NAME_IMPORTED);
    put_entries(json, "inside", scan, NAME_OPERATOR);
    if (scan_operators_place(scan) == NAME_IMPORTED) {
        put(json, "provider", scan->new_provider.name);
        put(json, "provider_path", scan->new_provider.path);
    }
    close_one(json, '}');
}

static void put_code(struct json *json, const struct scan *scan)
{
    static const char *const sources[] = {[CODE_FROM_SYMTAB] = "symtab",
                                          [CODE_FROM_DEBUG_FILE] = "debug-file",
                                          [CODE_FROM_FRAMES] = "eh_frame"};
    const struct code *code = &scan->code;
    open_one(json, "destructors", '{');
    put_number(json, "entries", code->destructor_entries);
    if (code->judged)
        put_number(json, "patchable", code->destructor_patchable);
    put_number(json, "classes", code->classes);
    put_number(json, "deleting", code->destructors[DESTRUCTOR_DELETING]);
    put_number(json, "complete", code->destructors[DESTRUCTOR_COMPLETE]);
    put_number(json, "base", code->destructors[DESTRUCTOR_BASE]);
    close_one(json, '}');
    open_one(json, "static_objects", '{');
    put(json, "cxa_atexit", place_name(names_find(&scan->names, "__cxa_atexit")->place));
    put_number(json, "registrations", scan->registrations);
    put_number(json, "thread_registrations", scan->thread_registrations);
    if (code->source != CODE_FROM_FRAMES) {
        put_number(json, "initialisers", code->initialisers);
        put_number(json, "guards", code->guards);
    }
    close_one(json, '}');
    open_one(json, "hooks", '{');
    put_number(json, "hooked",
               names_count(&scan->names, NAME_HOOK, NAME_ABSENT) +
                   names_count(&scan->names, NAME_HOOK, NAME_IMPORTED) +
                   names_count(&scan->names, NAME_HOOK, NAME_INSIDE));
    put_names(json, "imported", scan, NAME_HOOK, NAME_IMPORTED);
    close_one(json, '}');
    open_one(json, "functions", '{');
    put_number(json, "count", code->count);
    put(json, "source", sources[code->source]);
    put_bool(json, "judged", code->judged);
    if (code->judged) {
        put_number(json, "patchable", code->refused[PATCH_FINE]);
        open_one(json, "refused", '{');
        for (unsigned i = PATCH_FINE + 1; i < CODE_REFUSALS; i++)
            if (code->refused[i] > 0)
                put_number(json, code_refusal_name(i), code->refused[i]);
        close_one(json, '}');
    }
    close_one(json, '}');
}

static void put_build(struct json *json, const struct scan *scan)
{
    static const char *const relro[] = {"none", "partial", "full"};
    const struct file_facts *facts = &scan->facts;
    open_one(json, "debug", '{');
    put_bool(json, "symtab", facts->symtab);
    put_bool(json, "dwarf", facts->dwarf);
    put_bool(json, "unwind_tables", facts->unwind);
    put(json, "separate_file", scan->file.debug.size == 0 ? NULL : scan->file.debug_path);
    if (scan->file.debug.size != 0) {
        put_bool(json, "separate_symtab", facts->debug_symtab);
        put_bool(json, "separate_dwarf", facts->debug_dwarf);
    }
    close_one(json, '}');
    open_one(json, "build", '{');
    open_one(json, "compilers", '[');
    for (size_t i = 0; i < facts->compiler_count; i++)
        put(json, NULL, facts->compilers[i]);
    close_one(json, ']');
    put_bool(json, "lto_seen", facts->lto != NULL);
    put(json, "lto_sign", facts->lto);
    put_bool(json, "sanitizer", facts->sanitizer);
    put_bool(json, "musl", facts->musl);
    put_bool(json, "go", facts->go);
    close_one(json, '}');
    open_one(json, "hardening", '{');
    put(json, "relro", relro[facts->relro]);
    put_bool(json, "bound_now", facts->bound_now);
    put_bool(json, "ibt", facts->ibt);
    put_bool(json, "shstk", facts->shstk);
    put_bool(json, "setuid", scan->setuid);
    put_bool(json, "setgid", scan->setgid);
    put_bool(json, "capabilities", scan->capabilities);
    close_one(json, '}');
}

static void put_refused(struct json *json, const struct code *code)
{
    char address[24];
    open_one(json, "refused_functions", '[');
    for (size_t i = 0; i < code->count && code->judged; i++) {
        const struct code_function *function = &code->functions[i];
        if (function->refusal == PATCH_FINE)
            continue;
        snprintf(address, sizeof address, "0x%lx", (unsigned long)function->start);
        open_one(json, NULL, '{');
        put(json, "address", address);
        put_number(json, "size", function->size);
        put(json, "symbol", function->name);
        put(json, "function", function->name == NULL ? NULL : demangled(function->name));
        put(json, "reason", code_refusal_name(function->refusal));
        close_one(json, '}');
    }
    close_one(json, ']');
}

void scan_print_json(const struct scan *scan, bool refused, FILE *out)
{
    struct scan_warning warnings[WARNINGS_MOST];
    struct json json = {out, true};
    open_one(&json, NULL, '{');
    put_number(&json, "schema", SCHEMA_VERSION);
    put(&json, "type", "scan");
    put_file(&json, scan);
    put_heap(&json, scan);
    put_code(&json, scan);
    put_build(&json, scan);
    open_one(&json, "warnings", '[');
    for (size_t i = 0, count = scan_warnings(scan, warnings); i < count; i++) {
        open_one(&json, NULL, '{');
        put(&json, "id", warnings[i].id);
        put(&json, "text", warnings[i].text);
        close_one(&json, '}');
    }
    close_one(&json, ']');
    if (refused)
        put_refused(&json, &scan->code);
    close_one(&json, '}');
    fputc('\n', out);
}
