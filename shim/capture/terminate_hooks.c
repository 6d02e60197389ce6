/* Terminate hooks: std::terminate, which the destructor of a joinable std::thread calls. The
 * registers of the call may hold the thread's handle, or point to the object. */
#include "capture/real.h"

#include "event/event.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef void (*terminate_function)(void);

#define WORDS 14 /* that the code below pushes */

/* Called by it; returns what to go on with. */
terminate_function terminate_entered(const uintptr_t *words, uintptr_t slot)
    __attribute__((visibility("hidden")));

/* A C++ library that was loaded later, for its caller only, is found from there. */
static void *find_beside(uintptr_t caller, const char *name)
{
    Dl_info info;
    void *library = NULL, *function = NULL;
    if (dladdr((const void *)caller, &info) != 0 && info.dli_fname != NULL)
        library = real.dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library != NULL) {
        function = dlsym(library, name);
        (void)real.dlclose(library);
    }
    return function;
}

terminate_function terminate_entered(const uintptr_t *words, uintptr_t slot)
{
    const struct caller caller = {*(const uintptr_t *)slot, slot};
    void *asks, *function;
    void *(*exception_type)(void);
    terminate_function terminate;
    real_need();
    terminate = real._ZSt9terminatev;
    if (terminate == NULL) {
        function = find_beside(caller.address, "_ZSt9terminatev");
        __builtin_memcpy(&terminate, &function, sizeof terminate);
        asks = find_beside(caller.address, "__cxa_current_exception_type");
    } else {
        asks = dlsym(RTLD_NEXT, "__cxa_current_exception_type");
    }
    __builtin_memcpy(&exception_type, &asks, sizeof exception_type);
    if (guard_active && (asks == NULL || exception_type() == NULL))
        event_terminate(words, WORDS, caller);
    return terminate != NULL ? terminate : abort;
}

__asm__(".pushsection .text\n"
        ".globl _ZSt9terminatev\n"
        ".type _ZSt9terminatev, @function\n"
        "_ZSt9terminatev:\n"
        ".cfi_startproc\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\n"
        "mov %rsp, %rbp\n"
        ".cfi_def_cfa_register rbp\n"
        "push %r15\n"
        "push %r14\n"
        "push %r13\n"
        "push %r12\n"
        "push %r11\n"
        "push %r10\n"
        "push %r9\n"
        "push %r8\n"
        "push %rcx\n"
        "push %rdx\n"
        "push %rsi\n"
        "push %rax\n"
        "push %rbx\n"
        "push %rdi\n"
        "mov %rsp, %rdi\n"
        "lea 8(%rbp), %rsi\n"
        "call terminate_entered\n"
        "leave\n"
        ".cfi_def_cfa rsp, 8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size _ZSt9terminatev, . - _ZSt9terminatev\n"
        ".popsection\n");
