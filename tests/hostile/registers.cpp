// Callers of a function in the same file may keep values in any register that it leaves alone: a
// destructor and a watched member function that use none must still use none under the shim.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" void destroy(void *) __asm__("_ZN4KeptD1Ev");
extern "C" void step(void *) __asm__("_ZN4Kept4stepEv");
__asm__(".text\n"
        ".globl _ZN4KeptD1Ev\n.type _ZN4KeptD1Ev, @function\n_ZN4KeptD1Ev:\n"
        "addq $1, (%rdi)\naddq $1, 8(%rdi)\nret\n.size _ZN4KeptD1Ev, . - _ZN4KeptD1Ev\n"
        ".globl _ZN4Kept4stepEv\n.type _ZN4Kept4stepEv, @function\n_ZN4Kept4stepEv:\n"
        "addq $1, (%rdi)\naddq $1, 8(%rdi)\nret\n.size _ZN4Kept4stepEv, . - _ZN4Kept4stepEv\n");

// Fills registers, calls, and stores what is in them then. But for %r11, which linkers may use.
extern "C" void call_with(void (*function)(void *), void *self, uint64_t *general, double *vectors);
__asm__(".text\n.type call_with, @function\ncall_with:\n"
        "push %rbx\npush %rbp\npush %r12\npush %r13\nsub $8, %rsp\n"
        "mov %rdi, %rbx\nmov %rdx, %rbp\nmov %rcx, %r12\nmov %rsi, %rdi\n"
        "mov (%rbp), %rax\nmov 8(%rbp), %rcx\nmov 16(%rbp), %rdx\nmov 24(%rbp), %rsi\n"
        "mov 32(%rbp), %r8\nmov 40(%rbp), %r9\nmov 48(%rbp), %r10\n"
        "movups (%r12), %xmm0\nmovups 16(%r12), %xmm1\nmovups 32(%r12), %xmm7\n"
        "movups 48(%r12), %xmm8\nmovups 64(%r12), %xmm15\n"
        "call *%rbx\n"
        "mov %rax, 56(%rbp)\nmov %rcx, 64(%rbp)\nmov %rdx, 72(%rbp)\nmov %rsi, 80(%rbp)\n"
        "mov %r8, 88(%rbp)\nmov %r9, 96(%rbp)\nmov %r10, 104(%rbp)\n"
        "movups %xmm0, 80(%r12)\nmovups %xmm1, 96(%r12)\nmovups %xmm7, 112(%r12)\n"
        "movups %xmm8, 128(%r12)\nmovups %xmm15, 144(%r12)\n"
        "add $8, %rsp\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
        ".size call_with, . - call_with\n");

static void check(void (*function)(void *), void *self, const char *what)
{
    uint64_t general[14] = {1, 2, 3, 4, 5, 6, 7};
    double vectors[20] = {1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5};
    call_with(function, self, general, vectors);
    if (memcmp(general, general + 7, sizeof general / 2) != 0 ||
        memcmp(vectors, vectors + 10, sizeof vectors / 2) != 0) {
        printf("%s: a register was changed\n", what);
        exit(1);
    }
}

int main()
{
    static long still[2];
    auto *heap = static_cast<long *>(calloc(1, sizeof still));
    for (int i = 0; i < 3; i++) {
        check(destroy, still, "destructor");
        check(destroy, heap, "destructor of a guarded object");
        check(step, still, "member");
        check(step, heap, "member of a guarded object");
    }
    printf("%ld %ld\n", still[0], heap[1]);
    free(heap);
    return 0;
}
