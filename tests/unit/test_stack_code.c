/* The program of test_stack.c, in a library of its own: the shim's code, which a stack does not
 * show, is all that the test is linked of. */
#include "test_patch.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

ASSEMBLE(faults, 4,

         "push %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_offset rbx, -16\n"
         "xor %ebx, %ebx\n mov (%rbx), %rax\n nop\n"
         "pop %rbx\n .cfi_adjust_cfa_offset -8\n .cfi_restore rbx\n ret")
ASSEMBLE(calls_faults, 4,

         "sub $24, %rsp\n .cfi_adjust_cfa_offset 24\n call faults\n"
         "calls_faults_returned: add $24, %rsp\n .cfi_adjust_cfa_offset -24\n ret")

extern const unsigned char calls_faults_returned[];
const unsigned char *fault_start = faults, *fault_end = faults_end;
const unsigned char *fault_returned = calls_faults_returned;
void (*handler_calls)(const void *context);
void fault(void);

static sigjmp_buf back;

static void handle(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    handler_calls(context);
    siglongjmp(back, 1);
}

void fault(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO}, before;
    const unsigned char *address = calls_faults;
    void (*function)(void);
    memcpy(&function, &address, sizeof function);
    sigaction(SIGSEGV, &action, &before);
    if (sigsetjmp(back, 1) == 0)
        function();
    sigaction(SIGSEGV, &before, NULL);
}
