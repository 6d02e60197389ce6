/* Entry: see entry.h. */
#include "capture/entry.h"

#include "capture/vector_state.h"

#include "base/memory.h"
#include "base/system.h"
#include "event/event.h"
#include "heap/poison.h"

#include <sys/mman.h>

struct patch *entry_table;
uint8_t *entry_flags;

/* With 57-bit addresses the kernel gives memory above bit 47 to who asks for it (Documentation/
 * arch/x86/x86_64/5level-paging.rst). */
static void measure_addresses(void)
{
    long high = system_call6(SYS_mmap, INT64_C(1) << 48, (long)PAGE_SIZE, 0,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (high < 0 && high > -4096)
        return;
    if (high >> 47 == 0)
        event_address_bits = 47;
    memory_unmap((void *)high, PAGE_SIZE);
}

bool entry_start(void)
{
    measure_addresses();
    vector_state_measure();
    entry_table = memory_map(ENTRIES_MOST * sizeof *entry_table);
    entry_flags = memory_map(ENTRIES_MOST);
    return entry_table != NULL && entry_flags != NULL;
}

extern const char entry_load[] __attribute__((visibility("hidden")));
extern const char entry_passed[] __attribute__((visibility("hidden")));

uintptr_t entry_fault(uintptr_t instruction)
{
    return instruction == (uintptr_t)entry_load ? (uintptr_t)entry_passed : 0;
}

/* Called by the code below. */
void entry_destructor_seen(const struct patch *patch, void *self, uintptr_t slot)
    __attribute__((visibility("hidden")));
void entry_member_seen(const struct patch *patch, void *self, uintptr_t slot)
    __attribute__((visibility("hidden")));

void entry_destructor_seen(const struct patch *patch, void *self, uintptr_t slot)
{
    const struct caller caller = {*(const uintptr_t *)slot, slot};
    event_destructor_entered(patch->function, self, caller);
}

void entry_member_seen(const struct patch *patch, void *self, uintptr_t slot)
{
    const struct caller caller = {*(const uintptr_t *)slot, slot};
    event_member_entered(patch->function, (entry_flags[patch->number] & ENTRY_HAS_THIS) != 0, self,
                         caller);
}

#define TEXT(value) TEXT_OF(value)
#define TEXT_OF(value) #value
#define PATCH_BYTES 48
#define ORIGINAL_AT 40
#define FREED_TOP_BYTE 0x9d
_Static_assert(sizeof(struct patch) == PATCH_BYTES, "as below");
_Static_assert(offsetof(struct patch, original) == ORIGINAL_AT, "as below");
_Static_assert(POISON_FREED == FREED_TOP_BYTE, "as below");

/* Saves all registers, calls and goes on with the function. %r11: the patch. */
#define CALL_AND_GO_ON(function)                                                                   \
    "push %rbp\n"                                                                                  \
    ".cfi_def_cfa_offset 16\n"                                                                     \
    ".cfi_offset rbp, -16\n"                                                                       \
    "mov %rsp, %rbp\n"                                                                             \
    ".cfi_def_cfa_register rbp\n"                                                                  \
    "lea -8(%rsp), %rsp\n" /* the caller's %r11 stands there: see patch/patch.h */                 \
    "push %rax\n"                                                                                  \
    "push %rcx\n"                                                                                  \
    "push %rdx\n"                                                                                  \
    "push %rsi\n"                                                                                  \
    "push %rdi\n"                                                                                  \
    "push %r8\n"                                                                                   \
    "push %r9\n"                                                                                   \
    "push %r10\n"                                                                                  \
    "push %r11\n"                                                                                  \
    "mov %rdi, %rsi\n"                                                                             \
    "mov %r11, %rdi\n" VECTOR_STATE_SAVE "lea 8(%rbp), %rdx\n"                                     \
    "call " #function "\n" VECTOR_STATE_RESTORE "lea -80(%rbp), %rsp\n"                            \
    "pop %r11\n"                                                                                   \
    "pop %r10\n"                                                                                   \
    "pop %r9\n"                                                                                    \
    "pop %r8\n"                                                                                    \
    "pop %rdi\n"                                                                                   \
    "pop %rsi\n"                                                                                   \
    "pop %rdx\n"                                                                                   \
    "pop %rcx\n"                                                                                   \
    "pop %rax\n"                                                                                   \
    "lea 8(%rsp), %rsp\n"                                                                          \
    "pop %rbp\n"                                                                                   \
    ".cfi_def_cfa rsp, 8\n"                                                                        \
    ".cfi_restore rbp\n"                                                                           \
    "jmp *" TEXT(ORIGINAL_AT) "(%r11)\n"

#define FUNCTION(name)                                                                             \
    ".hidden " #name "\n"                                                                          \
    ".globl " #name "\n"                                                                           \
    ".type " #name ", @function\n"                                                                 \
    ".p2align 4\n" #name ":\n"                                                                     \
    ".cfi_startproc\n"                                                                             \
    "endbr64\n"

/* Of destructors only those matter whose `this` is guarded, wild, or the start of a freed block:
 * the others pay for these questions alone. */
__asm__(".pushsection .text\n" FUNCTION(
    entry_destructor) "push %rax\n"
                      ".cfi_adjust_cfa_offset 8\n"
                      "imul $" TEXT(
                          PATCH_BYTES) ", %r11, %r11\n"
                                       "add entry_table(%rip), %r11\n"
                                       "cmpb $0, guard_active(%rip)\n"
                                       "je 1f\n"
                                       "cmpb $0, event_sees_all_destructors(%rip)\n"
                                       "jne 2f\n"
                                       "cmp arena_last(%rip), %rdi\n"
                                       "jae 3f\n"
                                       "cmp arena_first(%rip), %rdi\n"
                                       "jae 2f\n"
                                       "3: cmp $65535, %rdi\n"
                                       "jbe 1f\n"
                                       "mov %rdi, %rax\n"
                                       "shr $47, %rax\n"
                                       "jnz 2f\n"
                                       "test $7, %dil\n"
                                       "jnz 1f\n"
                                       ".hidden entry_load, entry_passed\n"
                                       ".globl entry_load, entry_passed\n"
                                       "entry_load:\n"
                                       "mov (%rdi), %rax\n"
                                       "shr $56, %rax\n"
                                       "cmp $" TEXT(
                                           FREED_TOP_BYTE) ", %al\n"
                                                           "je 2f\n"
                                                           "entry_passed:\n"
                                                           "1: pop %rax\n"
                                                           ".cfi_remember_state\n"
                                                           ".cfi_adjust_cfa_offset -8\n"
                                                           "jmp *" TEXT(
                                                               ORIGINAL_AT) "(%r11)\n"
                                                                            ".cfi_restore_state\n"
                                                                            "2: pop %rax\n"
                                                                            ".cfi_adjust_cfa_"
                                                                            "offset "
                                                                            "-8\n" CALL_AND_GO_ON(
                                                                                entry_destructor_seen) ".cfi_endproc\n"
                                                                                                       ".size entry_destructor, . - entry_destructor\n"

        FUNCTION(entry_member) "imul $" TEXT(
            PATCH_BYTES) ", %r11, %r11\n"
                         "add entry_table(%rip), %r11\n" CALL_AND_GO_ON(
                             entry_member_seen) ".cfi_endproc\n"
                                                ".size entry_member, . - entry_member\n"
                                                ".popsection\n");
