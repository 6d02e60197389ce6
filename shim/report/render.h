/* Render: a finding, named, as text and as JSON. The caller holds the report lock and has called
 * names_begin(). Async-signal-safe. */
#ifndef OUTLIVE_REPORT_RENDER_H
#define OUTLIVE_REPORT_RENDER_H

#include "base/text.h"
#include "report/finding.h"
#include "report/names.h"

/* A stack with its names. */
struct named_stack {
    size_t count;
    struct named_frame frames[STACK_FRAMES * 3];
};

enum moment_kind { MOMENT_TOUCH, MOMENT_END, MOMENT_BIRTH, MOMENT_START, MOMENT_OTHER, MOMENTS };

/* A finding and all that was found out about it when the report was written. */
struct named_finding {
    const struct finding *finding;
    struct named_stack stacks[MOMENTS];
    const char *type;      /* of the object, or NULL */
    const char *destroyed; /* class of the destructor that ran on it, or NULL */
    char sentence[1024];   /* with the names that it lacked */
};

const struct moment *finding_moment(const struct finding *finding, enum moment_kind which);
const char *moment_title(const struct finding *finding, enum moment_kind which);

/* The touch is in the destructor or the assignment of a std::thread. */
bool is_in_thread_destructor(const struct named_finding *named);
/* The object was destroyed by the last owner of a std::shared_ptr, by the functions' names. */
bool is_last_release(const struct named_finding *named);
void name_finding(struct named_finding *named, const struct finding *finding);

/* The frame to speak of: the innermost that is neither a library's nor std::. NULL: none. */
const struct named_frame *user_frame(const struct named_stack *stack);
bool frame_is_standard(const struct named_frame *frame);
/* Function, or module+offset. */
void write_place(struct text *text, const struct named_frame *frame);
const char *base_name(const char *path);
/* `global std::set debug_filters`; type may be NULL. */
void write_static_object(struct text *text, uintptr_t address, const char *type);
/* `the exit handler clean_up`, `the destructor of global std::set debug_filters`. */
void write_exit_handler(struct text *text, const struct in_handler *handler);
void write_sentence(struct text *text, const struct named_finding *named);
void write_actor(struct text *text, const struct actor *actor);
/* The watched member functions that the thread is inside of, by what it noted and by its stack: a
 * line each, or the start of one, between `before` and `after`. */
void write_members(struct text *text, const struct thread *thread, const struct stack *stack,
                   const struct finding *finding, const char *before, const char *after);
void write_build_id(struct text *text, const struct library *library);
void write_milliseconds(struct text *text, uint64_t nanoseconds);

void render_text(struct text *text, const struct named_finding *named);
void render_json(struct text *text, const struct named_finding *named, bool suppressed);
/* The phase, and what every thread waits for and holds; where the finding asks for the whole
 * picture, all their stacks and what was destroyed in the last second. */
void render_picture(struct text *text, const struct finding *finding);
/* The threads alone. */
void render_threads(struct text *text);

/* The table of late threads, a row for each finding, as they were told. */
#define LATE_THREADS_SIZE 16384
void late_threads_add(const struct named_finding *named);
void late_threads_write(struct text *text); /* nothing where there is none */
void late_threads_forget(void);
/* `before the destruction in f (f.c:3), make T1 'monitor' stop and join it; ...` */
void write_stop(struct text *text, const struct named_finding *named);

/* Order, thread's life, what to change, timeline: the paragraphs below the stacks. */
void render_story(struct text *text, const struct named_finding *named);

#endif
