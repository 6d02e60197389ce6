/* Tests of heap/poison and capture/operand: what a general protection fault is explained by. */
#include "unit.h"

#include "capture/operand.h"
#include "heap/poison.h"

static void words_are_distinct_and_checked(void **state)
{
    uint64_t block[16];
    (void)state;
    uint16_t check = poison_next_check(0);
    uint64_t start = poison_first(POISON_FREED, 77, check);
    assert_int_equal(poison_fill(block, sizeof block - 1, start), 15);
    for (uint32_t i = 0; i < 15; i++) {
        struct poison poison = poison_parts(block[i]);
        assert_true(poison_looks_like(block[i]));
        assert_int_equal(poison.kind, POISON_FREED);
        assert_int_equal(poison.id, 77);
        assert_int_equal(poison.offset, i);
        assert_true(block[i] == poison_word(start, i));
        assert_true(poison_start(block[i]) == start);
        assert_true(poison_start(block[i]) !=
                    poison_first(POISON_FREED, 77, poison_next_check(check))); /* another user's */
        for (uint32_t j = 0; j < i; j++)
            assert_true(block[i] != block[j]);
    }
}

static void words_are_not_canonical(void **state)
{
    static const enum poison_kind kinds[] = {POISON_FREED, POISON_UNINITIALISED};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int64_t word = (int64_t)poison_word(poison_first(kinds[i], POISON_IDS - 1, 9), 65535);
        assert_true(word >> 47 != 0 && word >> 47 != -1); /* 48-bit addresses */
        assert_true(word >> 56 != 0 && word >> 56 != -1); /* 57-bit addresses */
    }
    assert_false(poison_looks_like(0x00007fffffffffff));
    assert_false(poison_looks_like(0xffffffffffffffff));
    assert_false(poison_looks_like(0));
}

#define RAX 0
#define RCX 1
#define RDX 2
#define RBX 3
#define RSI 6
#define R8 8
#define R12 12
#define R13 13

static void decodes_operands(void **state)
{
    static const struct {
        uint8_t code[12];
        int base, index;
        bool call;
    } rows[] = {
        {{0x48, 0x8b, 0x07}, 7, OPERAND_NONE, false},         /* mov (%rdi),%rax */
        {{0x8b, 0x43, 0x10}, RBX, OPERAND_NONE, false},       /* mov 16(%rbx),%eax */
        {{0xff, 0x50, 0x08}, RAX, OPERAND_NONE, true},        /* call *8(%rax) */
        {{0xff, 0xd0}, RAX, OPERAND_NONE, true},              /* call *%rax */
        {{0x41, 0xff, 0xe0}, R8, OPERAND_NONE, true},         /* jmp *%r8 */
        {{0x49, 0x8b, 0x04, 0x24}, R12, OPERAND_NONE, false}, /* mov (%r12),%rax */
        {{0x41, 0x8b, 0x45, 0x00}, R13, OPERAND_NONE, false}, /* mov 0(%r13),%eax */
        {{0x8b, 0x04, 0x91}, RCX, RDX, false},                /* mov (%rcx,%rdx,4),%eax */
        {{0x8b, 0x04, 0x25, 0, 0, 0, 0}, OPERAND_NONE, OPERAND_NONE, false}, /* mov 0,%eax */
        {{0xf0, 0x48, 0x0f, 0xb1, 0x16}, RSI, OPERAND_NONE, false}, /* lock cmpxchg %rdx,(%rsi) */
        {{0x66, 0x0f, 0x6f, 0x01}, RCX, OPERAND_NONE, false},       /* movdqa (%rcx),%xmm0 */
        {{0xc5, 0xfe, 0x6f, 0x06}, RSI, OPERAND_NONE, false},       /* vmovdqu (%rsi),%ymm0 */
        {{0xc4, 0xc1, 0x7e, 0x6f, 0x00}, R8, OPERAND_NONE, false},  /* vmovdqu (%r8),%ymm0 */
        {{0x62, 0xf1, 0x7f, 0x48, 0x6f, 0x06},
         RSI,
         OPERAND_NONE,
         false},                                                         /* vmovdqu8 (%rsi),%zmm0 */
        {{0x62, 0xd2, 0x7d, 0x48, 0x3a, 0x00}, R8, OPERAND_NONE, false}, /* vpminuw (%r8),..,%zmm */
        {{0xc4, 0xe2, 0x7b, 0xf7, 0x06}, RSI, OPERAND_NONE, false},      /* shrx %eax,(%rsi),%eax */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct operand operand;
        assert_true(operand_decode(rows[i].code, sizeof rows[i].code, &operand));
        assert_int_equal(operand.base, rows[i].base);
        assert_int_equal(operand.index, rows[i].index);
        assert_int_equal(operand.is_call, rows[i].call);
    }
}

static void decodes_what_has_no_modrm(void **state)
{
    static const uint8_t movs[] = {0xf3, 0x48, 0xa5}, ret[] = {0xc3}, nop[] = {0x90},
                         syscall[] = {0x0f, 0x05};
    struct operand operand;
    (void)state;
    assert_true(operand_decode(movs, sizeof movs, &operand) && operand.is_string);
    assert_true(operand_decode(ret, sizeof ret, &operand) && operand.is_return);
    assert_false(operand_decode(nop, sizeof nop, &operand));
    assert_false(operand_decode(syscall, sizeof syscall, &operand));
}

static void tells_plain_stores(void **state)
{
    static const struct {
        uint8_t code[8];
        bool modifies;
    } rows[] = {
        {{0x89, 0x07}, false},                  /* mov %eax, (%rdi) */
        {{0xc7, 0x07, 1, 0, 0, 0}, false},      /* movl $1, (%rdi) */
        {{0x0f, 0x11, 0x07}, false},            /* movups %xmm0, (%rdi) */
        {{0xc5, 0xfe, 0x7f, 0x07}, false},      /* vmovdqu %ymm0, (%rdi) */
        {{0x83, 0x07, 0x01}, true},             /* addl $1, (%rdi) */
        {{0x01, 0x07}, true},                   /* add %eax, (%rdi) */
        {{0x39, 0x07}, false},                  /* cmp %eax, (%rdi) */
        {{0x83, 0x3f, 0x01}, false},            /* cmpl $1, (%rdi) */
        {{0x48, 0xff, 0x07}, true},             /* incq (%rdi) */
        {{0xff, 0x17}, false},                  /* call *(%rdi) */
        {{0xf0, 0x48, 0x0f, 0xc1, 0x07}, true}, /* lock xadd %rax, (%rdi) */
        {{0xf0, 0x48, 0x0f, 0xb1, 0x0f}, true}, /* lock cmpxchg %rcx, (%rdi) */
        {{0x87, 0x07}, true},                   /* xchg %eax, (%rdi) */
        {{0x48, 0xd1, 0x27}, true},             /* shlq (%rdi) */
        {{0xf7, 0x1f}, true},                   /* negl (%rdi) */
        {{0x0f, 0x94, 0x07}, false},            /* sete (%rdi) */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct operand operand;
        assert_true(operand_decode(rows[i].code, sizeof rows[i].code, &operand));
        assert_int_equal(operand.modifies, rows[i].modifies);
    }
}

static void survives_any_bytes(void **state)
{
    uint32_t seed = 1;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        uint8_t code[15];
        size_t size = seed % 16;
        for (size_t i = 0; i < sizeof code; i++) {
            seed = seed * 1664525 + 1013904223;
            code[i] = (uint8_t)(seed >> 24);
        }
        struct operand operand;
        uint8_t *exact = malloc(size == 0 ? 1 : size); /* so that ASan sees a read beyond */
        memcpy(exact, code, size);
        if (operand_decode(exact, size, &operand)) {
            assert_true(operand.base >= OPERAND_NONE && operand.base < 16);
            assert_true(operand.index >= OPERAND_NONE && operand.index < 16);
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_distinct_and_checked),
        cmocka_unit_test(words_are_not_canonical),
        cmocka_unit_test(decodes_operands),
        cmocka_unit_test(decodes_what_has_no_modrm),
        cmocka_unit_test(tells_plain_stores),
        cmocka_unit_test(survives_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
