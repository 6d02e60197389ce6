/* Allocators that must be left alone: one entry cannot be patched (SHORT, BACK), copies of it stand
 * in its callers (COPIES), a further function takes blocks (BESIDE). Says "fine". */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static char heap[1 << 20];
static size_t used;
static size_t frees;

#ifdef BACK
/* Goes back to its entry, with another size, where it is asked for too little. */
__asm__(".globl malloc\n"
        ".type malloc, @function\n"
        "malloc:\n"
        ".cfi_startproc\n"
        "cmp $16, %rdi\n"
        "jae 1f\n"
        "mov $16, %edi\n"
        "jmp malloc\n"
        "1: jmp take\n"
        ".cfi_endproc\n"
        ".size malloc, . - malloc\n");
void *malloc(size_t size);
#define MALLOC take
#elif defined COPIES
#define MALLOC take
#else
#define MALLOC malloc
#endif

#ifdef COPIES
__attribute__((always_inline)) static inline
#else
__attribute__((noinline, noclone))
#endif
    void *
    MALLOC(size_t size)
{
    size_t at = __atomic_fetch_add(&used, (size + 31) / 16 * 16, __ATOMIC_RELAXED);
    *(size_t *)(heap + at) = size;
    return heap + at + 16;
}

#ifdef COPIES
void *malloc(size_t size)
{
    return take(size);
}
#endif

#ifdef SHORT
__asm__(".globl free\n"
        ".type free, @function\n"
        "free:\n"
        ".cfi_startproc\n"
        "nop\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size free, . - free\n"
        ".type behind, @function\n"
        "behind:\n"
        "mov $1, %eax\n"
        "ret\n"
        ".size behind, . - behind\n");
void free(void *block);
#else
__attribute__((noinline)) static void end(void *block)
{
    *(size_t *)((char *)block - 16) = 0;
    frees++;
}

__attribute__((noinline, noclone)) void free(void *block)
{
    if (block != NULL)
        end(block);
}
#endif

void *calloc(size_t count, size_t size)
{
    return malloc(count * size);
}

void *realloc(void *block, size_t size)
{
    void *fresh = malloc(size);
    if (block != NULL) {
        size_t held = *(size_t *)((char *)block - 16);
        memcpy(fresh, block, held < size ? held : size);
    }
    return fresh;
}

#ifdef BESIDE
__attribute__((noinline)) void free_and_count(void *block)
{
    if (block != NULL)
        end(block);
    printf("%d\n", 1);
}
#endif

int main(void)
{
    for (int i = 0; i < 20; i++) {
#ifdef COPIES
        char *volatile block = take(50);
#else
        char *volatile block = malloc(50);
#endif
        memset(block, 'x', 50);
#ifdef BESIDE
        free_and_count(block);
#else
        free(block);
#endif
    }
    puts("fine");
    return 0;
}
