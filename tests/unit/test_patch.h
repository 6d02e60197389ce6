/* Functions in assembler for the tests of entry patching, and a hook that counts. */
#ifndef OUTLIVE_TESTS_TEST_PATCH_H
#define OUTLIVE_TESTS_TEST_PATCH_H

#include <stdint.h>

/* `name` to `name_end`; `align` is what its first byte is aligned to, as a power of two. */
#define ASSEMBLE(name, align, body)                                                                \
    __asm__(".pushsection .text\n"                                                                 \
            ".p2align " #align ",0xcc\n" #name ":\n"                                               \
            ".type " #name ", @function\n"                                                         \
            ".cfi_startproc\n" body "\n"                                                           \
            ".cfi_endproc\n" #name "_end:\n"                                                       \
            ".size " #name ", . - " #name "\n"                                                     \
            ".popsection\n");                                                                      \
    extern const unsigned char name[], name##_end[];

typedef uint64_t (*function)(uint64_t first, uint64_t second, uint64_t third, uint64_t fourth);

#define HOOKS 64

/* By the patch's number. */
extern uint64_t hook_counts[HOOKS], hook_originals[HOOKS];
/* Counts and goes on in the original; changes %r11 only. */
void hook_count(void);

/* test_patch_throw.cpp */
int catch_through(int (*called)(void)); /* what was thrown, or -1 */
void throw_number(void);                /* throws 42 */

#endif
