/* Library hooks: a library loaded with RTLD_DEEPBIND binds malloc and free to libc's own, past the
 * hooks, and would hand our blocks to libc. It is loaded without that flag. */
#include "capture/annotation_hooks.h"
#include "capture/patched_functions.h"
#include "capture/real.h"

#include "base/output.h"
#include "event/event.h"

#include <dlfcn.h>

typedef void *(*open_function)(const char *file, int mode);

/* Called by the code below. */
open_function library_without_flag(const char *file, uintptr_t slot)
    __attribute__((visibility("hidden")));
open_function library_as_it_is(const char *file, uintptr_t slot)
    __attribute__((visibility("hidden")));

static void loading(const char *file, uintptr_t slot)
{
    const struct caller caller = {*(const uintptr_t *)slot, slot};
    real_need();
    if (file == NULL)
        return;
    if (guard_active && !event_heap_watched) /* what was loaded before, past our eyes */
        annotation_hooks_look();
    patched_functions_loading(caller);
    event_opening(file, caller);
}

open_function library_without_flag(const char *file, uintptr_t slot)
{
    loading(file, slot);
    if (guard_active && event_heap_watched)
        output_tell_once(
            "dlopen with RTLD_DEEPBIND: loaded without it, so that blocks come back to "
            "the allocator that made them",
            file);
    return real.dlopen;
}

open_function library_as_it_is(const char *file, uintptr_t slot)
{
    loading(file, slot);
    return real.dlopen;
}

/* Jumps to the real dlopen, which looks for its caller by the return address: it searches that
 * one's RUNPATH and name space. */
_Static_assert(RTLD_DEEPBIND == 8, "as below");
__asm__(".pushsection .text\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        ".cfi_startproc\n"
        "push %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %rsi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "sub $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "test $8, %esi\n"
        "lea 24(%rsp), %rsi\n"
        "jz 1f\n"
        "cmpb $0, event_heap_watched(%rip)\n"
        "je 1f\n"
        "andl $~8, 8(%rsp)\n"
        "call library_without_flag\n"
        "jmp 2f\n"
        "1: call library_as_it_is\n"
        "2: add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rsi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size dlopen, . - dlopen\n"
        ".popsection\n");
