/* Finding: one report as plain data. Detectors fill it, the report layer turns it into text and
 * JSON. Plain values and copies only, so that it stays true while the process goes on. */
#ifndef OUTLIVE_REPORT_FINDING_H
#define OUTLIVE_REPORT_FINDING_H

#include "registry/library.h"
#include "registry/object.h"
#include "registry/stack.h"
#include "registry/thread.h"

#include <stdbool.h>
#include <stdint.h>

enum grade { POSSIBLE, IMMINENT, CONFIRMED };

enum kind {
#define KIND(identifier, name, grade, stops, evidence) KIND_##identifier,
#include "report/finding.def"
#undef KIND
    KIND_COUNT
};

struct kind_row {
    const char *name;
    enum grade grade;
    bool stops;
    const char *evidence;
};

extern const struct kind_row kind_rows[KIND_COUNT];
const char *grade_name(enum grade grade);

/* A thread at one moment of a finding. reference 0: not known. */
struct actor {
    thread_reference reference;
    uint32_t serial;
    pid_t tid;
    char name[THREAD_NAME_SIZE];
};

/* One of the up to five stacks. Absent while has is false. */
struct moment {
    bool has;
    struct actor actor;
    uint64_t ticks; /* 0: unknown */
    struct stack stack;
};

/* Names that are known only when the report is written stand in a sentence as one of these. */
#define FINDING_OBJECT_NAME '\1'   /* of the static object */
#define FINDING_HANDLER_NAME '\2'  /* ' in the exit handler f': where it was destroyed */
#define FINDING_RUNNING_NAME '\3'  /* ', while it ran the exit handler f' */
#define FINDING_POINTER_NAME '\4'  /* of the null pointer */
#define FINDING_FUNCTION_NAME '\5' /* of `function` */

/* Which part of a finished thread's stack: libc puts thread-local storage and its own record of the
 * thread, to which a pthread_t points, above the frames. */
enum thread_part { THREAD_PART_NONE, THREAD_PART_FRAMES, THREAD_PART_LOCALS, THREAD_PART_RECORD };

/* The exit handler in which something happened. */
struct in_handler {
    uintptr_t function; /* 0: in none */
    uintptr_t object;   /* the static object that it destroys, or 0 */
    bool had_ended;     /* at the touch */
};

struct finding {
    enum kind kind;
    enum grade grade;
    char sentence[640];                     /* no line feed */
    char evidence[400];                     /* how it is known, "" if the sentence says it */
    struct moment touch, end, birth, start; /* start: of the touching thread */
    /* Of a library's function: its registration.
     * Of a descriptor's number: the close of the one before, or the birth of the one after.
     * Of a lock that is destroyed: what its holder does now.
     * Of a finished thread: its join. */
    struct moment other;
    bool has_descriptor;
    int number;                    /* of the descriptor */
    const char *made, *closed;     /* by which calls, static texts; NULL: not known */
    const struct library *library; /* that is unloaded; or NULL */
    uintptr_t function;            /* that was registered to be called, in it */
    const char *lock; /* what it is, 'mutex' or the like, a static text; NULL: no lock */
    uintptr_t lock_address;
    bool has_thread; /* it is about a thread as an object: its handle, and who it was */
    uintptr_t handle;
    struct actor owner;
    uint64_t owner_ended;     /* 0: it runs */
    bool was_joined;          /* `end` is its join, else its detaching */
    bool asks_for_destructor; /* possible, unless the touch is in std::thread's own destructor */
    bool goes_on;             /* told, and not stopped for, whatever the kind */
    const char *advice;       /* what to change, a static text, where the kind alone does not say */
    bool has_object, guarded;
    bool is_static; /* its size is 0 where unknown */
    struct in_handler ended_in, touched_in;
    uintptr_t null_pointer;    /* in static storage, which `ended_in` made null; 0: none */
    enum thread_part part;     /* of the thread in `end`, which has ended; birth: its start */
    enum thread_ending ending; /* of that thread */
    uintptr_t frame_of;        /* an address in the function whose frame was there; 0: not known */
    uintptr_t address;         /* of the object */
    size_t size;               /* as asked for; usable bytes where not guarded */
    bool size_is_usable;
    uint64_t offset; /* of the touch */
    bool has_offset;
    enum origin origin, end_origin;
    uintptr_t destructor;      /* entry of the outermost one that ran on the object, 0 unknown */
    uint64_t first_word;       /* at the destruction, 0 unknown */
    uintptr_t birth_site;      /* innermost program frame of the birth, for deduplication */
    bool with_picture;         /* add what all threads do and what was destroyed lately */
    bool can_continue;         /* the memory can be given back */
    const char *cannot_reason; /* why not, where halt_on_error=0 was asked for */
};

/* ` by return from its start function` and the like. */
const char *thread_ending_words(enum thread_ending ending);

struct actor actor_of(const struct thread *thread);
struct actor actor_of_reference(thread_reference reference);

#endif
