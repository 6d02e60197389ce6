/* Side thread: see side_thread.h. */
#include "registry/side_thread.h"

#include "base/memory.h"
#include "base/system.h"
#include "registry/guard.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define STACK_SIZE ((size_t)256 * 1024)

/* glibc's tcbhead_t (sysdeps/x86_64/nptl/tls.h): two pointers to itself, and what the stack
 * protector and the pointer guard compare with. */
#define SELF 0
#define SELF_AGAIN 2
#define STACK_PROTECTOR 5
#define POINTER_GUARD 6

static const char *thread_name;

__attribute__((noreturn, used)) static void begin(void (*run)(void))
{
    (void)system_call3(SYS_prctl, PR_SET_NAME, (long)thread_name, 0);
    run();
    for (;;)
        (void)system_call3(SYS_exit, 0, 0, 0);
}

/* The new thread finds the two words it begins with on its stack. */
static long clone_thread(uintptr_t *stack, void *storage)
{
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                CLONE_SYSVSEM | CLONE_SETTLS;
    register long r10 __asm__("r10") = 0;
    register void *r8 __asm__("r8") = storage;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone), "D"(flags), "S"(stack), "d"(0L), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

bool side_thread_start(void (*run)(void), const char *name)
{
    const uintptr_t *own = __builtin_thread_pointer();
    /* Static thread-local storage lies below the thread pointer; a page more for what is not the
     * guard. */
    size_t offset = (size_t)((const char *)own - (const char *)&guard);
    size_t storage = ROUND_UP(offset + PAGE_SIZE, PAGE_SIZE);
    size_t size = PAGE_SIZE + STACK_SIZE + storage + PAGE_SIZE;
    char *memory = system_is_refused(SYS_clone) ? NULL : memory_map(size);
    if (memory == NULL)
        return false;
    (void)memory_protect(memory, PAGE_SIZE, 0);
    uintptr_t *thread_pointer = (uintptr_t *)(memory + size - PAGE_SIZE);
    thread_pointer[SELF] = thread_pointer[SELF_AGAIN] = (uintptr_t)thread_pointer;
    thread_pointer[STACK_PROTECTOR] = own[STACK_PROTECTOR];
    thread_pointer[POINTER_GUARD] = own[POINTER_GUARD];
    struct guard *its = (struct guard *)((char *)thread_pointer - offset);
    its->inside = GUARD_FOR_GOOD;
    uintptr_t *stack = (uintptr_t *)(memory + PAGE_SIZE + STACK_SIZE);
    stack[-1] = 0; /* keeps the call aligned */
    stack[-2] = 0;
    stack[-3] = (uintptr_t)run;
    stack[-4] = (uintptr_t)&begin;
    thread_name = name;
    uint64_t before = 0, all = ~(UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1));
    (void)system_call4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&before, 8);
    long result = clone_thread(stack - 4, thread_pointer);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8);
    if (result < 0)
        (void)system_call3(SYS_munmap, (long)memory, (long)size, 0);
    return result > 0;
}
