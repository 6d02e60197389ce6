/* Fault events: what an access trap, a general protection fault or an abort means. */
#include "event/descriptor_internal.h"
#include "event/event.h"
#include "event/internal.h"

#include "base/output.h"
#include "base/system.h"
#include "heap/arena.h"
#include "heap/static_poison.h"
#include "registry/phase.h"

#include <signal.h>

bool report_poison(const struct touch *touch, uint64_t word)
{
    struct finding finding;
    struct poison poison = poison_parts(word);
    if (poison.kind == POISON_FREED) {
        const struct block *block = quarantine_find(word);
        uint64_t offset;
        struct static_object *object = block != NULL ? NULL : static_poison_find(word, &offset);
        if (object != NULL)
            tell_static(touch, object, offset, true);
        if (block == NULL)
            return object != NULL;
        detect_freed_block(&finding, touch, block, (uint64_t)poison.offset * 8);
    } else {
        struct object *object = object_of_number(poison.id);
        if (object == NULL || atomic_load(&object->state) == OBJECT_UNUSED ||
            poison_start(word) != poison_first(POISON_UNINITIALISED, poison.id, 0) ||
            (uint64_t)poison.offset * 8 + 8 > object->size)
            return false;
        detect_uninitialised_pointer(&finding, touch, object, (uint64_t)poison.offset * 8);
    }
    report_or_stop(&finding);
    return true;
}

/* A register may hold the word plus a small offset that was added before the access. */
static bool explain_by_poison(const struct touch *touch, const struct fault *fault)
{
    enum { LARGEST_OFFSET = 512 };
    for (size_t i = 0; i < fault->word_count; i++)
        for (uint64_t added = 0; added < LARGEST_OFFSET; added++) {
            uint64_t word = fault->words[i] - added;
            if (poison_looks_like(word) && report_poison(touch, word))
                return true;
        }
    return false;
}

static bool is_null(const struct fault *fault)
{
    return fault->has_address && fault->address < 65536; /* vm.mmap_min_addr */
}

static const char *describe(const struct fault *fault)
{
    switch (fault->signal) {
    case SIGABRT:
        return "abort (SIGABRT)";
    case SIGILL:
        return "an illegal instruction (SIGILL)";
    case SIGFPE:
        return "an arithmetic fault (SIGFPE)";
    case SIGBUS:
        return "a bus error (SIGBUS)";
    default:
        return !fault->has_address ? "dereferencing a wild pointer (SIGSEGV)"
               : is_null(fault)    ? "dereferencing a null pointer (SIGSEGV)"
                                   : "accessing memory that is not mapped (SIGSEGV)";
    }
}

/* A handler that re-raises, or aborts, ends one crash, not two. */
static _Atomic bool told_crash;

void crash_is_told(void)
{
    atomic_store(&told_crash, true);
}

static void report_crash(const struct touch *touch, const struct fault *fault)
{
    struct finding finding;
    if (!phase_is_shutdown() || atomic_exchange(&told_crash, true))
        return;
    bool by_null_pointer = fault->signal == SIGSEGV && !fault->sent && is_null(fault);
    detect_shutdown_crash(&finding, touch, describe(fault), by_null_pointer);
    (void)report_finding(&finding);
}

bool event_fault(const struct fault *fault)
{
    uintptr_t before = guard_hold(GUARD_FRAME);
    /* An unknown thread registers under a lock that the interrupted code may hold. */
    struct thread *thread = before != 0 ? guard.thread : thread_of_caller();
    if (thread != NULL)
        thread_refresh_name(thread);
    struct touch touch = {.thread = thread,
                          .stack = fault->stack,
                          .access = fault->access,
                          .modifies = fault->modifies,
                          .address = fault->address};
    bool gone = false, explained = false;
    const void *address = (const void *)fault->address;
    if (!fault->sent && fault->has_address && arena_contains(address)) {
        struct object *object = arena_object(address);
        uint32_t state = object == NULL ? OBJECT_DEAD : atomic_load(&object->state);
        if (object != NULL && atomic_load(&object->opened)) {
            gone = true; /* another thread's report has just opened it */
        } else if (state == OBJECT_DEAD || state == OBJECT_DYING) {
            struct finding finding;
            detect_dead_object(&finding, &touch, object);
            finding.can_continue = object != NULL && arena_keeps_content();
            report_or_stop(&finding);
            gone = object != NULL && arena_reopen(object);
        }
    } else if (!fault->sent && fault->has_address) {
        gone = fault_in_static(&touch) || fault_in_thread_stack(&touch, fault->stack_pointer);
        explained = !gone && fault_in_unloaded(&touch);
    } else if (!fault->sent) {
        (void)explain_by_poison(&touch, fault);
    } else if (fault->signal == SIGABRT && fault->sent) {
        explained = held_explains_abort(&fault->stack);
    }
    if (!gone)
        held_tell_all(); /* what the crash comes of may wait there */
    if (!gone && !explained)
        report_crash(&touch, fault);
    guard_let_go(before);
    return gone;
}
