/* JSON: a finding as one line of JSON; the schema is docs/json.md. Called by report.c. */
#include "report/render.h"

#include "base/clock.h"
#include "base/system.h"
#include "registry/phase.h"
#include "registry/wait.h"

#include <fcntl.h>
#include <sys/utsname.h>

#define SCHEMA_VERSION 1

static void add_string(struct text *text, const char *string)
{
    text_add_char(text, '"');
    for (; *string != '\0'; string++) {
        unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\') {
            text_add_char(text, '\\');
            text_add_char(text, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            text_add(text, "\\u00");
            text_add_char(text, "0123456789abcdef"[c >> 4]);
            text_add_char(text, "0123456789abcdef"[c & 15]);
        } else {
            text_add_char(text, (char)c);
        }
    }
    text_add_char(text, '"');
}

static void add_field(struct text *text, const char *name, const char *value)
{
    text_format(text, ",\"%s\":", name);
    add_string(text, value);
}

static void add_address(struct text *text, const char *name, uint64_t value)
{
    text_format(text, ",\"%s\":\"0x%lx\"", name, value);
}

static void add_command_line(struct text *text)
{
    char line[4096];
    long file = system_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    long length = file < 0 ? 0 : system_read((int)file, line, sizeof line - 1);
    if (file >= 0)
        (void)system_close((int)file);
    text_add(text, ",\"command\":[");
    for (long at = 0; at < length;) {
        line[length] = '\0';
        if (at > 0)
            text_add_char(text, ',');
        add_string(text, line + at);
        at += (long)text_length(line + at) + 1;
    }
    text_add_char(text, ']');
}

static void add_actor(struct text *text, const char *name, const struct actor *actor)
{
    if (actor->reference == 0)
        return;
    text_format(text, ",\"%s\":{\"number\":%u,\"tid\":%d", name, actor->serial, actor->tid);
    add_field(text, "name", actor->name);
    text_add_char(text, '}');
}

static void add_stack(struct text *text, const struct named_stack *stack)
{
    text_add(text, ",\"frames\":[");
    for (size_t i = 0; i < stack->count; i++) {
        const struct named_frame *frame = &stack->frames[i];
        text_format(text, "%s{\"address\":\"0x%lx\"", i == 0 ? "" : ",", frame->address);
        if (frame->function[0] != '\0')
            add_field(text, "function", frame->function);
        if (frame->file[0] != '\0') {
            add_field(text, "file", frame->file);
            text_format(text, ",\"line\":%u", frame->line);
        }
        if (frame->module != NULL) {
            add_field(text, "module", frame->module->path);
            add_address(text, "offset", frame->address - frame->module->bias);
            if (frame->module->build_id[0] != '\0')
                add_field(text, "build_id", frame->module->build_id);
        }
        text_format(text, ",\"inlined\":%s}", frame->inlined ? "true" : "false");
    }
    text_add_char(text, ']');
}

static void add_name(struct text *text, const char *field, const struct named_finding *named)
{
    char name[512];
    struct text words = text_in(name, sizeof name);
    if (named->finding->is_static)
        write_static_object(&words, named->finding->address, named->type);
    else
        write_exit_handler(&words, &named->finding->ended_in);
    add_field(text, field, name);
}

static void add_moment(struct text *text, const char *name, const struct named_finding *named,
                       enum moment_kind which)
{
    const struct moment *moment = finding_moment(named->finding, which);
    if (!moment->has)
        return;
    text_format(text, ",\"%s\":{\"nanoseconds_since_start\":%lu", name,
                clock_nanoseconds(moment->ticks));
    add_actor(text, "thread", &moment->actor);
    add_stack(text, &named->stacks[which]);
    text_add_char(text, '}');
}

static void add_library(struct text *text, const struct library *library)
{
    text_add(text, ",\"library\":{\"path\":");
    add_string(text, library->path);
    add_address(text, "start", library->start);
    add_address(text, "end", library->end);
    if (library->build_id_size > 0) {
        text_add(text, ",\"build_id\":\"");
        write_build_id(text, library);
        text_add_char(text, '"');
    }
    text_add_char(text, '}');
}

/* Who waits for whom. */
static void add_waits(struct text *text)
{
    const char *before = "";
    text_add(text, ",\"waits\":[");
    for (uint32_t slot = 0; slot < thread_slots(); slot++) {
        const struct thread *thread = thread_slot(slot);
        struct waiting waiting;
        if (thread->state != THREAD_RUNNING || !wait_of(thread, &waiting))
            continue;
        struct actor actor = actor_of(thread), holder = actor_of_reference(waiting.holder);
        text_format(text, "%s{", before);
        before = ",";
        text_add(text, "\"function\":");
        add_string(text, waiting.note.function);
        add_actor(text, "thread", &actor);
        add_actor(text, "for_thread", &holder);
        if (waiting.note.what == WAIT_DESCRIPTOR)
            text_format(text, ",\"descriptor\":%lu", waiting.note.address);
        else if (waiting.note.what != WAIT_THREAD && waiting.note.what != WAIT_DESCRIPTORS)
            add_address(text, "lock", waiting.lock != 0 ? waiting.lock : waiting.note.address);
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
}

void render_json(struct text *text, const struct named_finding *named, bool suppressed)
{
    const struct finding *finding = named->finding;
    uint64_t wall = clock_wall(finding->touch.ticks);
    struct utsname host = {0};
    (void)system_call3(SYS_uname, (long)&host, 0, 0);
    text_format(text, "{\"schema\":%d,\"type\":\"finding\",\"pid\":%d", SCHEMA_VERSION,
                system_process());
    text_format(text, ",\"wall_clock_nanoseconds\":%lu", wall);
    add_field(text, "host", host.nodename);
    add_field(text, "kernel", host.release);
    add_command_line(text);
    add_field(text, "kind", kind_rows[finding->kind].name);
    add_field(text, "grade", grade_name(finding->grade));
    text_format(text, ",\"suppressed\":%s", suppressed ? "true" : "false");
    add_field(text, "sentence", named->sentence);
    if (finding->evidence[0] != '\0')
        add_field(text, "evidence", finding->evidence);
    add_field(text, "phase", phase_is_shutdown() ? "shutdown" : "running");
    if (phase_is_shutdown())
        add_field(text, "phase_sign", phase_sign());
    if (finding->has_object) {
        text_format(text, ",\"object\":{\"size\":%zu,\"size_is_usable\":%s,\"guarded\":%s",
                    finding->size, finding->size_is_usable ? "true" : "false",
                    finding->guarded ? "true" : "false");
        add_address(text, "address", finding->address);
        if (finding->guarded)
            add_field(text, "origin", origin_name(finding->origin));
        if (finding->is_static)
            add_name(text, "static_name", named);
        if (named->type != NULL)
            add_field(text, "object_type", named->type);
        if (finding->has_offset)
            text_format(text, ",\"offset\":%lu", finding->offset);
        text_add_char(text, '}');
    }
    if (finding->ended_in.function != 0)
        add_name(text, finding->null_pointer != 0 ? "made_null_in" : "destroyed_in", named);
    if (finding->null_pointer != 0) {
        const char *pointer = names_of_data(finding->null_pointer);
        add_address(text, "null_pointer", finding->null_pointer);
        if (pointer != NULL)
            add_field(text, "null_pointer_name", pointer);
    }
    if (finding->part != THREAD_PART_NONE) {
        static const char *const parts[] = {"", "frames", "thread_locals", "pthread_t"};
        static const char *const endings[] = {"returned", "exited", "cancelled"};
        text_format(text, ",\"storage\":{\"part\":\"%s\",\"ending\":\"%s\",\"size\":%zu",
                    parts[finding->part], endings[finding->ending], finding->size);
        add_address(text, "address", finding->address);
        text_add_char(text, '}');
    }
    if (finding->has_descriptor) {
        text_format(text, ",\"descriptor\":{\"number\":%d", finding->number);
        if (finding->made != NULL)
            add_field(text, "made_by", finding->made);
        if (finding->closed != NULL)
            add_field(text, "closed_by", finding->closed);
        text_add_char(text, '}');
    }
    if (finding->library != NULL)
        add_library(text, finding->library);
    if (finding->lock != NULL) {
        text_add(text, ",\"lock\":{\"type\":");
        add_string(text, finding->lock);
        add_address(text, "address", finding->lock_address);
        text_add_char(text, '}');
    }
    if (finding->has_thread) {
        text_add(text, ",\"thread_handle\":{");
        text_format(text, "\"value\":\"0x%lx\"", finding->handle);
        add_actor(text, "thread", &finding->owner);
        text_format(text, ",\"has_ended\":%s}", finding->owner_ended != 0 ? "true" : "false");
    }
    if (finding->kind == KIND_HUNG_SHUTDOWN)
        add_waits(text);
    add_moment(text, "touch", named, MOMENT_TOUCH);
    add_moment(text, "destruction", named, MOMENT_END);
    add_moment(text, "birth", named, MOMENT_BIRTH);
    add_moment(text, "thread_start", named, MOMENT_START);
    add_moment(text,
               finding->part != THREAD_PART_NONE            ? "owner_join"
               : finding->library != NULL                   ? "registration"
               : finding->kind == KIND_USE_AFTER_CLOSE      ? "earlier_close"
               : finding->kind == KIND_DESTROY_WHILE_IN_USE ? "holder_now"
                                                            : "new_owner",
               named, MOMENT_OTHER);
    text_add(text, "}\n");
}
