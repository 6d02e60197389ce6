/* Start: brings the shim up before any code of the program runs, and down after the last. Hooks
 * that run earlier, from other libraries' constructors, pass through. (DF_1_INITFIRST is no way to
 * come first: glibc keeps one such object, itself, and would not set `environ` then.) */
#include "capture/allocator.h"
#include "capture/annotation_hooks.h"
#include "capture/exit_hooks.h"
#include "capture/family_hooks.h"
#include "capture/new_hooks.h"
#include "capture/patched_functions.h"
#include "capture/process.h"
#include "capture/real.h"
#include "capture/signals.h"
#include "capture/symbol.h"
#include "capture/threads.h"

#include "base/output.h"
#include "base/text.h"
#include "event/event.h"
#include "event/lock.h"
#include "patch/patch.h"
#include "report/names.h"
#include "report/picture.h"
#include "report/report.h"
#include "report/suppression.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

static struct options options;

/* What glibc's pthread_atfork and at_quick_exit call (LSB core specification, libc). Weak, as
 * dladdr1 is, so that another C library's loader takes the shim in and the shim itself can say why
 * it steps aside. */
extern int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void),
                             void *library) __attribute__((weak));
extern int __cxa_at_quick_exit(void (*handler)(void *), void *library) __attribute__((weak));
#pragma weak dladdr1
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool is_glibc(void)
{
    return __register_atfork != NULL && __cxa_at_quick_exit != NULL && dladdr1 != NULL;
}

/* A tool that takes the same functions, told by a function that only its library defines: each of
 * the two would see the other's work as the program's. */
static const char *other_tool(void)
{
    static const struct {
        const char *function, *says;
    } tools[] = {
        {"_vgnU_freeres", "this program runs under valgrind"},
        {"__asan_init", "this program is built with AddressSanitizer"},
        {"__hwasan_init", "this program is built with HWAddressSanitizer"},
        {"__tsan_init", "this program is built with ThreadSanitizer"},
        {"__msan_init", "this program is built with MemorySanitizer"},
        {"__lsan_init", "this program is built with LeakSanitizer"},
    };
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (symbol_find_first(tools[i].function) != NULL)
            return tools[i].says;
    return NULL;
}

/* Frames of these do not tell allocation sites apart. */
static void note_allocators(void)
{
    static const char *const names[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "_Znwm",
                                        "_Znam",
                                        "_ZnwmRKSt9nothrow_t",
                                        "_ZnamRKSt9nothrow_t",
                                        "_ZnwmSt11align_val_t",
                                        "_ZnamSt11align_val_t"};
    void *const places[] = {RTLD_DEFAULT, RTLD_NEXT};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < 2; j++) {
            void *function = dlsym(places[j], names[i]);
            Dl_info info;
            const ElfW(Sym) *symbol = NULL;
            if (function != NULL && !stack_is_ours((uintptr_t)function) &&
                dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol != NULL)
                stack_add_allocator(function, symbol->st_size);
        }
}

static void read_options(char **environment)
{
    const char *name = "OUTLIVE_OPTIONS=";
    char error[512];
    options_default(&options);
    for (; environment != NULL && *environment != NULL; environment++)
        if (text_begins(*environment, name) &&
            !options_parse(&options, *environment + text_length(name), error, sizeof error)) {
            output_tell_once("OUTLIVE_OPTIONS", error);
            output_tell_once("the other options hold", NULL);
        }
}

/* Programs that this one executes are not followed, unless asked for: takes the shim out of
 * LD_PRELOAD, where it may stand among others. */
static void leave_environment(char **environment)
{
    static char rest[4096];
    const char *name = "LD_PRELOAD=";
    Dl_info self;
    if (dladdr((void *)(uintptr_t)&leave_environment, &self) == 0)
        return;
    for (; *environment != NULL; environment++) {
        if (!text_begins(*environment, name))
            continue;
        struct text text = text_in(rest, sizeof rest);
        text_add(&text, name);
        size_t empty = text.length;
        const char *at = *environment + empty;
        while (*at != '\0') {
            const char *start = at;
            while (*at != '\0' && *at != ':' && *at != ' ')
                at++;
            struct text path;
            char item[4096];
            path = text_in(item, sizeof item);
            text_add_bytes(&path, start, (size_t)(at - start));
            if (path.length > 0 && text_find(item, "liboutlive.so") == NULL) {
                if (text.length > empty)
                    text_add_char(&text, ':');
                text_add(&text, item);
            }
            if (*at != '\0')
                at++;
        }
        if (text.cut)
            return;
        if (text.length > empty) {
            *environment = rest;
            return;
        }
        for (char **move = environment; *move != NULL; move++)
            move[0] = move[1];
        return;
    }
}

static void before_fork(void)
{
    if (!guard_active)
        return;
    guard.before_fork =
        guard_hold(GUARD_FOR_GOOD); /* a signal handler must not ask for the locks */
    patched_functions_prepare_fork();
    event_prepare_fork();
}

static void after_fork_in_parent(void)
{
    if (!guard_active)
        return;
    event_forked(false);
    patched_functions_forked(false);
    guard_let_go(guard.before_fork);
}

static void after_fork_in_child(void)
{
    if (!guard_active)
        return;
    event_forked(true);
    patched_functions_forked(true);
    process_hooks_start();
    guard_let_go(guard.before_fork);
}

static void at_quick_exit_last(void *nothing)
{
    (void)nothing;
    process_ending();
}

__attribute__((constructor)) static void start(int count, char **arguments, char **environment)
{
    (void)count;
    (void)arguments;
    real_resolve();
    if (!is_glibc()) { /* musl's loader passes no arguments here */
        static char *nothing[] = {NULL};
        options_default(&options);
        output_start(&options, nothing);
        output_tell_once("this program runs on another C library than glibc (musl?): nothing is "
                         "watched",
                         NULL);
        return;
    }
    read_options(environment);
    if (!options.enabled)
        return;
    output_start(&options, environment);
    if (!options.follow_exec)
        leave_environment(environment);
    const char *other = options.refuse_tools ? other_tool() : NULL;
    if (other != NULL) {
        output_tell_once(other, "the two cannot watch it together, so nothing is watched here; run "
                                "it without one of them");
        return;
    }

    const struct allocator_found found = allocator_take(options.patch);
    struct allocator allocator = {real.free, real.malloc_usable_size, real.malloc_usable_size,
                                  allocator_is_caller, allocator_is_new};
    bool heap = found.seen;
    const char *heap_file = real_file_of((const void *)(uintptr_t)real.malloc);
    event_locks_unwind = heap_file != NULL && text_find(heap_file, "/libc.so") != NULL;
    if (!heap) {
        report_heap_is_blind();
        report_add_off("heap (the program defines its own malloc)");
    }
    if (!heap && text_equal(options.require, "heap"))
        output_tell_once("require=heap: this run sees no heap and cannot pass", NULL);
    names_start(&options);
    suppressions_start(options.suppressions);
    picture_set_sampler(signals_sample);
    family_stand_between(&allocator);
    new_hooks_start(heap ? found.new_policy : NEW_IS_LIBRARYS, &allocator);
    if (!event_start(&options, &allocator, heap))
        return;
    note_allocators();
    process_hooks_start();
    exit_hooks_start();
    signals_start(&options);
    thread_appeared = threads_equip;
    (void)threads_start();
    threads_equip();
    (void)__register_atfork(before_fork, after_fork_in_parent, after_fork_in_child, &__dso_handle);
    (void)__cxa_at_quick_exit(at_quick_exit_last, &__dso_handle);
    guard_active = true;
    annotation_hooks_look();
    patched_functions_start(&options);
}

__attribute__((destructor)) static void finish(void)
{
    if (guard_active)
        process_ending();
}
