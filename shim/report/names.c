/* Names: see names.h. */
#include "report/names.h"

#include "base/clock.h"
#include "base/output.h"
#include "base/system.h"
#include "base/text.h"
#include "registry/stack.h"
#include "report/helper_process.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>

#define CACHE 512

static char resolver[OPTION_TEXT_SIZE + 32];
static uint64_t patience;

static const char no_helper[] = "cannot start the resolver: stacks have no names";
static int connection = -1;
static const struct module *asked_module;
static uint64_t deadline;
static char strings[512 * 1024];
static size_t strings_used;
/* Answers of this report: the same frame stands in several stacks. */
static struct {
    uintptr_t key;
    const char *answer;
} cache[CACHE];
static size_t cache_used;

void names_start(const struct options *options)
{
    struct text path = text_in(resolver, sizeof resolver);
    patience = options->resolve_ms;
    if (options->resolver[0] != '\0') {
        if (!text_equal(options->resolver, "none"))
            text_add(&path, options->resolver);
        return;
    }
    Dl_info self;
    if (dladdr((void *)(uintptr_t)&names_start, &self) == 0 || self.dli_fname == NULL)
        return;
    text_add(&path, self.dli_fname);
    while (path.length > 0 && path.data[path.length - 1] != '/')
        path.data[--path.length] = '\0';
    size_t directory = path.length;
    text_add(&path, "outlive-resolver");
    if (system_call3(SYS_access, (long)resolver, 1 /* X_OK */, 0) == 0)
        return;
    path.length = directory;
    text_add(&path, "../libexec/outlive/outlive-resolver");
}

static void hang_up(void)
{
    if (connection < 0)
        return;
    helper_stop(connection);
    connection = -1;
}

void names_begin(void)
{
    modules_read();
    strings_used = 0;
    cache_used = 0;
    asked_module = NULL;
    deadline = clock_milliseconds() + patience;
    if (resolver[0] == '\0')
        return;
    connection = helper_start(resolver);
    if (connection < 0)
        output_tell_once(no_helper, NULL);
}

void names_end(void)
{
    hang_up();
}

static const char *keep(const char *bytes, size_t length)
{
    if (strings_used + length + 1 > sizeof strings)
        return "";
    char *string = strings + strings_used;
    __builtin_memcpy(string, bytes, length);
    string[length] = '\0';
    strings_used += length + 1;
    return string;
}

static bool wait_readable(void)
{
    for (;;) {
        uint64_t now = clock_milliseconds();
        struct pollfd waited = {.fd = connection, .events = POLLIN};
        if (now >= deadline)
            return false;
        struct timespec rest = {(time_t)((deadline - now) / 1000),
                                (long)((deadline - now) % 1000) * 1000000};
        long ready = system_call6(SYS_ppoll, (long)&waited, 1, (long)&rest, 0, 8, 0);
        if (ready > 0)
            return true;
        if (ready != -4)
            return false;
    }
}

/* Sends one request; returns the answer without its empty line, "" for none. */
static const char *ask(const char *request, size_t length, bool answered)
{
    static char answer[16 * 1024];
    size_t held = 0;
    if (connection < 0)
        return "";
    if (system_call6(SYS_sendto, connection, (long)request, (long)length, MSG_NOSIGNAL, 0, 0) !=
        (long)length)
        goto lost;
    while (answered) {
        if (!wait_readable())
            goto lost;
        long got = system_read(connection, answer + held, sizeof answer - held);
        if (got <= 0)
            goto lost;
        held += (size_t)got;
        if (answer[0] == '\n')
            return "";
        if (held >= 2 && answer[held - 1] == '\n' && answer[held - 2] == '\n')
            return keep(answer, held - 1);
        if (held == sizeof answer)
            goto lost;
    }
    return "";
lost:
    output_tell_once("the resolver did not answer: stacks have fewer names", resolver);
    hang_up();
    return "";
}

static const char *ask_about(const struct module *module, const char *prefix, uint64_t address)
{
    char line[4700];
    struct text request = text_in(line, sizeof line);
    if (module != asked_module) {
        text_format(&request, "M %s %s\n", module->build_id[0] == '\0' ? "-" : module->build_id,
                    module->path);
        (void)ask(line, request.length, false);
        asked_module = module;
        request = text_in(line, sizeof line);
    }
    text_format(&request, "%s%lx\n", prefix, address - module->bias);
    return ask(line, request.length, true);
}

/* Cuts the next field off; fields end with a tab, a line feed or the text. */
static const char *next_field(const char **at)
{
    const char *start = *at, *end = start;
    while (*end != '\0' && *end != '\t' && *end != '\n')
        end++;
    const char *field = keep(start, (size_t)(end - start));
    *at = *end == '\t' ? end + 1 : end;
    return field;
}

static const char *cached_answer(const struct module *module, uintptr_t address)
{
    for (size_t i = 0; i < cache_used; i++)
        if (cache[i].key == address)
            return cache[i].answer;
    const char *answer = ask_about(module, "A ", address);
    if (cache_used < CACHE) {
        cache[cache_used].key = address;
        cache[cache_used++].answer = answer;
    }
    return answer;
}

size_t names_of(uintptr_t address, bool exact, struct named_frame *frames, size_t most)
{
    uintptr_t inside = exact ? address : address - 1;
    const struct module *module = modules_find(inside);
    size_t count = 0;
    const char *at = module == NULL ? "" : cached_answer(module, inside);
    while (*at != '\0' && count < most) {
        struct named_frame *frame = &frames[count++];
        uint64_t line = 0;
        *frame = (struct named_frame){.address = address, .module = module};
        frame->function = next_field(&at);
        frame->file = next_field(&at);
        const char *digits = next_field(&at);
        (void)text_parse_size(digits, text_length(digits), &line);
        frame->line = (uint32_t)line;
        if (*at == '\n')
            at++;
        frame->inlined = *at != '\0';
    }
    if (count == 0)
        frames[count++] =
            (struct named_frame){.address = address, .function = "", .file = "", .module = module};
    return count;
}

const char *names_class_of_vtable(uint64_t word)
{
    const struct module *module = modules_find((uintptr_t)word);
    const char *prefix = "vtable for ";
    const char *answer = module == NULL ? "" : ask_about(module, "V ", word);
    if (!text_begins(answer, prefix))
        return NULL;
    const char *name = answer + text_length(prefix);
    return next_field(&name);
}

const char *names_of_data(uintptr_t address)
{
    const struct module *module = modules_find(address);
    const char *answer = module == NULL ? "" : ask_about(module, "V ", address);
    return *answer == '\0' ? NULL : next_field(&answer);
}

const char *names_class_of_destructor(uintptr_t function)
{
    const struct module *module = modules_find(function);
    const char *answer = module == NULL ? "" : ask_about(module, "D ", function);
    return *answer == '\0' ? NULL : next_field(&answer);
}

const char *names_type_of_allocation(uintptr_t address, size_t size)
{
    char prefix[48];
    struct text text = text_in(prefix, sizeof prefix);
    const struct module *module = modules_find(address - 1);
    text_format(&text, "T %zu ", size);
    const char *answer = module == NULL ? "" : ask_about(module, prefix, address - 1);
    return *answer == '\0' ? NULL : next_field(&answer);
}
