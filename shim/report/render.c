/* Render: a finding as text. See render.h; the paragraphs below the stacks are in story.c. */
#include "report/render.h"

#include "base/clock.h"
#include "base/system.h"
#include "registry/phase.h"
#include "registry/touch.h"

const struct moment *finding_moment(const struct finding *finding, enum moment_kind which)
{
    switch (which) {
    case MOMENT_TOUCH:
        return &finding->touch;
    case MOMENT_END:
        return &finding->end;
    case MOMENT_BIRTH:
        return &finding->birth;
    case MOMENT_OTHER:
        return &finding->other;
    default:
        return &finding->start;
    }
}

const char *moment_title(const struct finding *finding, enum moment_kind which)
{
    switch (which) {
    case MOMENT_TOUCH:
        switch (finding->kind) {
        case KIND_LATE_TOUCH:
            return "Late touch";
        case KIND_USE_AFTER_FREE:
        case KIND_USE_AFTER_DESTRUCTION:
            return "Use";
        case KIND_LATE_WRITE:
            return "Noticed";
        case KIND_DOUBLE_FREE:
            return "Second free";
        case KIND_SHUTDOWN_CRASH:
            return "Crash";
        case KIND_PURE_VIRTUAL_CALL:
            return "Call";
        case KIND_WILD_DESTRUCTOR:
            return "Destructor";
        case KIND_DOUBLE_DESTRUCTION:
            return "Second destruction";
        case KIND_TOUCH_DURING_DESTRUCTION:
            return "Touch";
        case KIND_DOUBLE_CLOSE:
            return "Second close";
        case KIND_STREAM_DESCRIPTOR_CLOSED:
            return "Close under the stream";
        case KIND_UNLOAD_WHILE_REGISTERED:
            return "Unload";
        case KIND_LOCK_HELD_AT_END:
            return "Lock";
        case KIND_DOUBLE_JOIN:
            return "Second join";
        case KIND_JOIN_AFTER_DETACH:
            return "Join";
        case KIND_DOUBLE_DETACH:
            return "Second detach";
        case KIND_JOINABLE_THREAD_DESTROYED:
            return "Destruction";
        case KIND_HUNG_SHUTDOWN:
            return "Wait";
        default:
            return "Use";
        }
    case MOMENT_END:
        return finding->part != THREAD_PART_NONE    ? "End of its owner"
               : finding->has_thread                ? finding->was_joined ? "First join" : "Detach"
               : finding->kind == KIND_DOUBLE_CLOSE ? "First close"
               : finding->has_descriptor            ? "Close"
               : finding->library != NULL           ? "Unload"
                                                    : "Destruction";
    case MOMENT_BIRTH:
        return finding->part != THREAD_PART_NONE ? "Start of its owner"
               : finding->library != NULL        ? "Load"
                                                 : "Birth";
    case MOMENT_OTHER:
        return finding->part != THREAD_PART_NONE            ? "Join of its owner"
               : finding->library != NULL                   ? "Registration"
               : finding->kind == KIND_USE_AFTER_CLOSE      ? "Earlier close"
               : finding->kind == KIND_DESTROY_WHILE_IN_USE ? "Holder now"
                                                            : "New owner";
    default:
        return "Start";
    }
}

static void name_stack(struct named_stack *named, const struct stack *stack)
{
    named->count = 0;
    for (uint32_t i = 0; i < stack->count; i++) {
        size_t room = sizeof named->frames / sizeof *named->frames - named->count;
        if (room == 0)
            return;
        named->count +=
            names_of(stack->frames[i], i == 0 && stack->first_is_exact,
                     named->frames + named->count, room < NAMED_INLINED ? room : NAMED_INLINED);
    }
}

static void name_moments(struct named_finding *named, const struct finding *finding)
{
    named->finding = finding;
    named->type = named->destroyed = NULL;
    for (int which = 0; which < MOMENTS; which++) {
        const struct moment *moment = finding_moment(finding, (enum moment_kind)which);
        named->stacks[which].count = 0;
        if (moment->has)
            name_stack(&named->stacks[which], &moment->stack);
    }
    if (!finding->has_object)
        return;
    for (uint32_t i = 0; i < finding->birth.stack.count && i < 6 && named->type == NULL; i++)
        if (finding->birth.has && finding->guarded)
            named->type = names_type_of_allocation(finding->birth.stack.frames[i], finding->size);
    if (finding->destructor != 0)
        named->destroyed = names_class_of_destructor(finding->destructor);
    if (named->type == NULL && finding->first_word != 0)
        named->type = names_class_of_vtable(finding->first_word);
    if (named->type == NULL)
        named->type = named->destroyed;
}

/* What the compiler inlined is known by debug information, what it did not by symbols. */
bool is_in_thread_destructor(const struct named_finding *named)
{
    const struct named_stack *stack = &named->stacks[MOMENT_TOUCH];
    for (size_t i = 0; i < stack->count; i++) {
        const char *function = stack->frames[i].function;
        if (!frame_is_standard(&stack->frames[i]))
            return false;
        if (text_find(function, "thread::~thread") != NULL ||
            text_find(function, "thread::operator=") != NULL)
            return true;
    }
    return false;
}

void name_finding(struct named_finding *named, const struct finding *finding)
{
    name_moments(named, finding);
    struct text sentence = text_in(named->sentence, sizeof named->sentence);
    write_sentence(&sentence, named);
}

/* By its name, or, of what was inlined, whose name may come without its namespace, by its header.
 */
bool frame_is_standard(const struct named_frame *frame)
{
    static const char *const names[] = {
        "std::", "__gnu_cxx::", "void std::", "bool std::", "decltype", "void* std::"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_begins(frame->function, names[i]))
            return true;
    return text_find(frame->file, "/include/c++/") != NULL;
}

static bool frame_is_library(const struct named_frame *frame)
{
    static const char *const libraries[] = {"/libc.so",     "/libstdc++.so", "/libpthread.so",
                                            "/libgcc_s.so", "/libm.so",      "/ld-linux",
                                            "/libc++.so",   "/libc++abi.so"};
    if (frame->module == NULL)
        return true;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (text_find(frame->module->path, libraries[i]) != NULL)
            return true;
    return false;
}

const struct named_frame *user_frame(const struct named_stack *stack)
{
    for (size_t i = 0; i < stack->count; i++)
        if (!frame_is_library(&stack->frames[i]) && !frame_is_standard(&stack->frames[i]) &&
            !text_equal(stack->frames[i].function, "_start") &&
            !text_begins(stack->frames[i].function, "operator new") &&
            !text_begins(stack->frames[i].function, "operator delete"))
            return &stack->frames[i];
    return stack->count > 0 ? &stack->frames[0] : NULL;
}

const char *base_name(const char *path)
{
    const char *name = path;
    for (; *path != '\0'; path++)
        if (*path == '/')
            name = path + 1;
    return name;
}

void write_place(struct text *text, const struct named_frame *frame)
{
    if (frame == NULL)
        text_add(text, "an unknown place");
    else if (frame->function[0] != '\0')
        text_format(text, "%s", frame->function);
    else if (frame->module != NULL)
        text_format(text, "%s+0x%lx", base_name(frame->module->path),
                    frame->address - frame->module->bias);
    else
        text_format(text, "0x%lx", frame->address);
    if (frame != NULL && frame->line != 0)
        text_format(text, " (%s:%u)", base_name(frame->file), frame->line);
}

void write_actor(struct text *text, const struct actor *actor)
{
    if (actor->reference == 0)
        text_add(text, "an unknown thread");
    else if (actor->tid == 0 && actor->name[0] == '\0')
        text_add(text, "a thread that ended long ago");
    else
        text_format(text, "T%u '%s'", actor->serial, actor->name);
}

static bool is_on(const struct stack *stack, uintptr_t address)
{
    for (uint32_t i = 0; i < stack->count; i++)
        if (stack->frames[i] == address)
            return true;
    return false;
}

void write_members(struct text *text, const struct thread *thread, const struct stack *stack,
                   const struct finding *finding, const char *before, const char *after)
{
    struct thread_member members[THREAD_MEMBERS];
    size_t count = touch_members(thread, members);
    for (size_t i = 0; i < count; i++) {
        struct named_frame frames[NAMED_INLINED];
        if (!is_on(stack, members[i].address))
            continue;
        size_t named = names_of(members[i].function, true, frames, NAMED_INLINED);
        text_format(text, "%sinside ", before);
        write_place(text, &frames[named - 1]);
        uintptr_t offset = members[i].self - finding->address;
        if (!finding->has_object || offset >= finding->size)
            text_format(text, " on 0x%lx", members[i].self);
        else if (offset == 0)
            text_add(text, " on the object");
        else
            text_format(text, " on offset %lu of the object", offset);
        text_add(text, after);
    }
}

void write_milliseconds(struct text *text, uint64_t nanoseconds)
{
    uint64_t tenths = nanoseconds / 100000;
    if (tenths >= 100000)
        text_format(text, "%lu s", tenths / 10000);
    else if (nanoseconds >= 100000)
        text_format(text, "%lu.%lu ms", tenths / 10, tenths % 10);
    else
        text_format(text, "%lu us", nanoseconds / 1000);
}

static void write_frame(struct text *text, size_t number, const struct named_frame *frame)
{
    text_format(text, "    #%zu 0x%lx ", number, frame->address);
    if (frame->function[0] != '\0')
        text_format(text, "%s ", frame->function);
    if (frame->file[0] != '\0')
        text_format(text, "%s:%u ", frame->file, frame->line);
    if (frame->module == NULL) {
        text_add(text, "(code of no file)\n");
        return;
    }
    text_format(text, "(%s+0x%lx", base_name(frame->module->path),
                frame->address - frame->module->bias);
    if (frame->module->build_id[0] != '\0')
        text_format(text, ", build-id %s", frame->module->build_id);
    text_add(text, ")\n");
}

/* A run of std:: frames is one line that names the outermost: what the program called. */
static void write_stack(struct text *text, const struct named_stack *stack)
{
    for (size_t i = 0; i < stack->count; i++) {
        size_t last = i;
        while (last < stack->count && frame_is_standard(&stack->frames[last]))
            last++;
        if (last - i < 2) {
            write_frame(text, i, &stack->frames[i]);
            continue;
        }
        const char *function = stack->frames[last - 1].function;
        size_t length = text_length(function);
        text_format(text, "    #%zu-#%zu in ", i, last - 1);
        text_add_bytes(text, function, length > 80 ? 80 : length);
        text_format(text, "%s (%zu std:: frames)\n", length > 80 ? "..." : "", last - i);
        i = last - 1;
    }
}

static void write_moment(struct text *text, const struct named_finding *named,
                         enum moment_kind which)
{
    const struct finding *finding = named->finding;
    const struct moment *moment = finding_moment(finding, which);
    if (!moment->has)
        return;
    text_format(text, "  %s", moment_title(finding, which));
    if (which == MOMENT_START) {
        text_add(text, " of thread ");
        write_actor(text, &finding->touch.actor);
        text_add(text, ",");
    }
    bool ends_itself = which == MOMENT_END && finding->part != THREAD_PART_NONE;
    text_add(text, ends_itself ? ", thread " : " by thread ");
    write_actor(text, &moment->actor);
    if (moment->actor.tid != 0)
        text_format(text, " (tid %d)", moment->actor.tid);
    if (ends_itself)
        text_format(text, ",%s", thread_ending_words(finding->ending));
    if (which == MOMENT_END && finding->ended_in.function != 0) {
        text_add(text, ", in ");
        write_exit_handler(text, &finding->ended_in);
        text_add(text, finding->ended_in.had_ended ? ", which had ended" : ", which still runs");
    }
    if (which != MOMENT_TOUCH && moment->ticks != 0 && finding->touch.ticks > moment->ticks) {
        text_add(text, ", ");
        write_milliseconds(text, clock_nanoseconds_between(moment->ticks, finding->touch.ticks));
        text_format(text, " before%s",
                    finding->kind == KIND_LATE_WRITE                ? " it was noticed"
                    : finding->kind == KIND_UNLOAD_WHILE_REGISTERED ? " the unload"
                                                                    : " the touch");
    } else if (which == MOMENT_OTHER && moment->ticks > finding->touch.ticks) {
        text_add(text, ", later");
    }
    text_add(text, ":\n");
    write_stack(text, &named->stacks[which]);
}

static void write_object(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    if (!finding->has_object)
        return;
    text_add(text, "  Object: ");
    if (finding->is_static) {
        write_static_object(text, finding->address, NULL);
        text_add(text, ", ");
    }
    if (finding->is_static && finding->size == 0)
        text_add(text, "of unknown size");
    else
        text_format(text, "%zu %sbytes", finding->size, finding->size_is_usable ? "usable " : "");
    if (finding->guarded)
        text_format(text, " from %s", origin_name(finding->origin));
    text_format(text, " at 0x%lx", finding->address);
    if (named->type != NULL)
        text_format(text, ", type %s%s", named->type,
                    named->type == named->destroyed ? " (by its destructor)" : "");
    if (named->destroyed != NULL && !text_equal(named->destroyed, named->type))
        text_format(text, ", destroyed as %s", named->destroyed);
    if (finding->has_offset)
        text_format(text, "; touched at offset %lu", finding->offset);
    if (!finding->guarded && !finding->is_static)
        text_add(text, "; from a busy allocation site, so its birth was not kept (guard_per_site= "
                       "keeps more)");
    text_add(text, "\n");
}

static void write_lock(struct text *text, const struct finding *finding)
{
    if (finding->lock == NULL)
        return;
    text_format(text, "  Lock: %s at 0x%lx", finding->lock, finding->lock_address);
    if (names_of_data(finding->lock_address) != NULL) {
        text_add(text, ", in ");
        write_static_object(text, finding->lock_address, NULL);
    }
    text_add(text, "\n");
}

static void write_part(struct text *text, const struct finding *finding)
{
    if (finding->part == THREAD_PART_NONE)
        return;
    text_add(text, "  Storage: ");
    text_add(text, finding->part == THREAD_PART_FRAMES   ? "frames"
                   : finding->part == THREAD_PART_LOCALS ? "thread-local storage"
                                                         : "libc's record");
    text_add(text, " of ");
    write_actor(text, &finding->end.actor);
    if (finding->frame_of != 0) {
        struct named_frame frames[NAMED_INLINED];
        size_t named = names_of(finding->frame_of, false, frames, NAMED_INLINED);
        text_add(text, "; when it left, the frame there was that of ");
        write_place(text, &frames[named - 1]);
    }
    text_format(text, ", in its stack of %zu bytes at 0x%lx\n", finding->size, finding->address);
}

static void write_handle(struct text *text, const struct finding *finding)
{
    if (!finding->has_thread)
        return;
    text_format(text, "  Handle: 0x%lx, of thread ", finding->handle);
    write_actor(text, &finding->owner);
    if (finding->owner.tid != 0)
        text_format(text, " (tid %d)", finding->owner.tid);
    if (finding->owner_ended == 0) {
        text_add(text, ", which runs\n");
        return;
    }
    text_add(text, ", which ended ");
    write_milliseconds(text, clock_nanoseconds_between(finding->owner_ended, finding->touch.ticks));
    text_add(text, " before\n");
}

static void write_descriptor(struct text *text, const struct finding *finding)
{
    if (!finding->has_descriptor)
        return;
    text_format(text, "  Descriptor: number %d", finding->number);
    if (finding->made != NULL)
        text_format(text, ", made by %s()", finding->made);
    if (finding->closed != NULL)
        text_format(text, ", closed by %s()", finding->closed);
    text_add(text, "\n");
}

void write_build_id(struct text *text, const struct library *library)
{
    for (size_t i = 0; i < library->build_id_size; i++) {
        text_add_char(text, "0123456789abcdef"[library->build_id[i] >> 4]);
        text_add_char(text, "0123456789abcdef"[library->build_id[i] & 15]);
    }
}

static void write_library(struct text *text, const struct finding *finding)
{
    const struct library *library = finding->library;
    if (library == NULL)
        return;
    text_format(text, "  Library: %s, was at 0x%lx to 0x%lx", library->path, library->start,
                library->end);
    if (library->build_id_size > 0) {
        text_add(text, ", build-id ");
        write_build_id(text, library);
    }
    text_add(text, "\n");
}

void render_text(struct text *text, const struct named_finding *named)
{
    const struct finding *finding = named->finding;
    static const char *const words[] = {
        [POSSIBLE] = "NOTE", [IMMINENT] = "WARNING", [CONFIRMED] = "ERROR"};
    text_format(text, "==%d==%s: outlive: %s (%s): %s\n", system_process(), words[finding->grade],
                kind_rows[finding->kind].name, grade_name(finding->grade), named->sentence);
    for (int which = 0; which < MOMENTS; which++)
        write_moment(text, named, (enum moment_kind)which);
    write_object(text, named);
    write_descriptor(text, finding);
    write_library(text, finding);
    write_lock(text, finding);
    write_part(text, finding);
    write_handle(text, finding);
    if (finding->evidence[0] != '\0')
        text_format(text, "  Evidence: %s\n", finding->evidence);
    render_story(text, named);
    if (finding->with_picture || phase_is_shutdown())
        render_picture(text, finding);
    const struct named_frame *frame = user_frame(&named->stacks[MOMENT_TOUCH]);
    if (frame == NULL)
        frame = user_frame(&named->stacks[MOMENT_END]);
    if (frame == NULL && finding->has_thread)
        frame = user_frame(&named->stacks[MOMENT_BIRTH]);
    text_format(text, "  Suppress with: %s:", kind_rows[finding->kind].name);
    if (frame == NULL || (frame->function[0] == '\0' && frame->module == NULL))
        text_add(text, finding->touch.actor.name);
    else if (frame->function[0] != '\0')
        text_add(text, frame->function);
    else
        text_add(text, base_name(frame->module->path));
    text_add(text, "\n");
}
