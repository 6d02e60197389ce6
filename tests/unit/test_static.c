/* Tests of exit handlers and static objects: what symbols tell of them, which words of a dead one
 * are poisoned, and when it is dead no longer. */
#include "unit.h"

#include "unit/small_elf.h"

#include "base/clock.h"
#include "heap/poison.h"
#include "heap/static_poison.h"
#include "registry/static_symbols.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct small_elf file;

#define CODE SMALL_ELF_ADDRESS(code)
#define BIAS 0x10000

static void symbols_tell_sort_and_size(void **state)
{
    (void)state;
    struct elf_image image;
    small_elf_make(&file);
    strcpy(file.strings + SMALL_ELF_FIRST_NAME, "_ZN1AD1Ev");
    strcpy(file.strings + SMALL_ELF_SECOND_NAME, "__tcf_0");
    file.symbols[2].st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
    file.symbols[3].st_value = 0x5000;
    file.symbols[3].st_size = 40;
    assert_true(elf_image_open(&image, (const unsigned char *)&file, sizeof file));
    struct static_key keys[] = {
        {.address = BIAS + 0x5000, .handler = 0},
        {.address = BIAS + CODE + 8, .handler = 1, .is_function = true},
        {.address = BIAS + CODE, .handler = 2, .is_function = true},
        {.address = BIAS + 0x5008, .handler = 3},
        {.address = BIAS + CODE, .handler = 4, .is_function = true},
        {.address = BIAS + CODE + 20, .handler = 5, .is_function = true},
        {.address = BIAS + 0x5000, .handler = 6},
    };
    const size_t count = sizeof keys / sizeof *keys;
    static_symbols_sort(keys, count);
    for (size_t i = 1; i < count; i++)
        assert_true(keys[i - 1].address <= keys[i].address);
    static_symbols_look_up(&image, BIAS, keys, count);
    for (size_t i = 0; i < count; i++)
        switch (keys[i].handler) {
        case 0:
        case 6:
            assert_int_equal(keys[i].size, 40);
            break;
        case 1:
            assert_int_equal(keys[i].sort, EXIT_FUNCTION_ARRAY);
            break;
        case 2:
        case 4:
            assert_int_equal(keys[i].sort, EXIT_FUNCTION_DESTRUCTOR);
            break;
        case 3: /* inside the object, not where it begins */
            assert_int_equal(keys[i].size, 0);
            break;
        default:
            assert_false(keys[i].found);
        }
}

static void streams_are_no_objects(void **state)
{
    (void)state;
    struct elf_image image;
    small_elf_make(&file);
    strcpy(file.strings + 100, "_ZNSt8ios_base4InitD1Ev");
    file.symbols[1].st_name = 100;
    assert_true(elf_image_open(&image, (const unsigned char *)&file, sizeof file));
    struct static_key key = {.address = CODE, .is_function = true};
    static_symbols_look_up(&image, 0, &key, 1);
    assert_true(key.found);
    assert_int_equal(key.sort, EXIT_FUNCTION_PLAIN);
}

static bool all_mapped(uintptr_t address)
{
    (void)address;
    return true;
}

static bool none_mapped(uintptr_t address)
{
    (void)address;
    return false;
}

static void pointers_are_told_from_numbers(void **state)
{
    (void)state;
    assert_true(static_poison_is_pointer(0x7f0012345678, all_mapped));
    assert_true(static_poison_is_pointer(0x7f0012345679, all_mapped)); /* of characters */
    assert_false(static_poison_is_pointer(0x7f0012345678, none_mapped));
    assert_false(static_poison_is_pointer(0, all_mapped));
    assert_false(static_poison_is_pointer(65535, all_mapped));
    assert_true(static_poison_is_pointer(0x412340, all_mapped));
    assert_false(static_poison_is_pointer(0x412345, all_mapped));
    assert_false(static_poison_is_pointer(UINT64_MAX, all_mapped));
    assert_false(static_poison_is_pointer(poison_first(POISON_FREED, 1, 1), all_mapped));
}

static struct static_object *bury(void *start, size_t size)
{
    struct static_object *object = static_object_new((uintptr_t)start, size);
    assert_non_null(object);
    static_object_publish(object);
    static_poison_bury(object);
    return object;
}

static void only_pointers_are_poisoned(void **state)
{
    (void)state;
    static uint64_t words[10];
    static int other;
    const uint64_t before[10] = {(uint64_t)(uintptr_t)words,
                                 0,
                                 1,
                                 (uint64_t)(uintptr_t)&other,
                                 UINT64_C(0x123456789abcdef0),
                                 (uint64_t)(uintptr_t)&only_pointers_are_poisoned,
                                 77,
                                 UINT64_C(0x0000300000000000), /* nothing is mapped there */
                                 UINT64_MAX,
                                 (uint64_t)(uintptr_t)words};
    memcpy(words, before, sizeof words);
    assert_null(static_object_find((uintptr_t)words));
    struct static_object *object = bury(words, 9 * sizeof *words);
    assert_ptr_equal(static_object_find((uintptr_t)words), object);
    assert_ptr_equal(static_object_find((uintptr_t)&words[8] + 7), object);
    assert_null(static_object_find((uintptr_t)&words[9]));
    assert_int_equal(object->poisoned, 3);
    for (size_t i = 0; i < 10; i++) {
        uint64_t offset = 0;
        if (i == 0 || i == 3 || i == 5) {
            assert_ptr_equal(static_poison_find(words[i], &offset), object);
            assert_int_equal(offset, 8 * i);
        } else {
            assert_true(words[i] == before[i]);
        }
    }
    assert_true(static_poison_stands(object));
    uint64_t poison = words[3], offset;
    words[3] = 5;
    assert_false(static_poison_stands(object));
    words[3] = poison;
    assert_null(static_poison_find(poison ^ UINT64_C(1) << 40, &offset));
    static_object_forget(object);
    assert_null(static_object_find((uintptr_t)words));
    assert_ptr_equal(static_poison_find(poison, &offset), object);
}

static void a_new_object_has_other_poison(void **state)
{
    (void)state;
    static uint64_t word;
    uint64_t offset;
    word = (uint64_t)(uintptr_t)&word;
    struct static_object *first = bury(&word, sizeof word);
    uint64_t poison = word;
    static_object_forget(first);
    word = (uint64_t)(uintptr_t)&word;
    struct static_object *second = bury(&word, sizeof word);
    assert_true(word != poison);
    assert_ptr_equal(static_poison_find(word, &offset), second);
    static_object_forget(second);
}

static bool can_be_read(const void *address)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool read = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return read;
}

static void whole_pages_are_taken_away_with_their_content(void **state)
{
    (void)state;
    static unsigned char bytes[4 * 4096] __attribute__((aligned(4096)));
    unsigned char *start = bytes + 100;
    void *pointer = bytes;
    memset(bytes, 3, sizeof bytes);
    memcpy(bytes + 104, &pointer, sizeof pointer);
    memcpy(bytes + 4096 + 16, &pointer, sizeof pointer);
    memcpy(bytes + 3 * 4096 + 8, &pointer, sizeof pointer);
    struct static_object *object = bury(start, 3 * 4096);
    assert_int_equal(object->poisoned, 2);
    assert_int_equal(object->protected_size, 2 * 4096);
    assert_true(can_be_read(bytes));
    assert_false(can_be_read(bytes + 4096));
    assert_false(can_be_read(bytes + 3 * 4096 - 1));
    assert_true(can_be_read(bytes + 3 * 4096));
    assert_true(static_poison_stands(object));
    /* A flag may be read, a pointer not. */
    assert_true(static_poison_read(object, (uintptr_t)bytes + 4096 + 201));
    assert_true(can_be_read(bytes + 4096));
    assert_false(can_be_read(bytes + 2 * 4096));
    assert_false(static_poison_read(object, (uintptr_t)bytes + 4096 + 16));
    assert_true(static_poison_reopen(object));
    uint64_t word, offset = 0;
    memcpy(&word, bytes + 4096 + 16, sizeof word);
    assert_ptr_equal(static_poison_find(word, &offset), object);
    assert_int_equal(offset, 4096 + 16 - 100);
    assert_int_equal(bytes[2 * 4096], 3);
    static_object_forget(object);
}

static void unknown_size_is_one_address(void **state)
{
    (void)state;
    static uint64_t words[2];
    words[0] = words[1] = (uint64_t)(uintptr_t)words;
    struct static_object *object = bury(words, 0);
    assert_int_equal(object->poisoned, 0);
    assert_ptr_equal(static_object_find((uintptr_t)words), object);
    assert_null(static_object_find((uintptr_t)words + 1));
    static_object_forget(object);
}

static void handlers_are_kept(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct exit_handler *handlers[COUNT];
    uint32_t before = exit_handler_count();
    for (uint32_t i = 0; i < COUNT; i++) {
        handlers[i] = exit_handler_new(i, 8 * (i / 2) + 8, 3);
        assert_non_null(handlers[i]);
        assert_int_equal(handlers[i]->number, before + i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(exit_handler_of_number(before + i), handlers[i]);
        assert_int_equal(handlers[i]->function, i);
        assert_true(exit_handler_has_twin(handlers[i]));
    }
    for (uint32_t i = 0; i < COUNT; i += 2)
        exit_handler_drop(handlers[i]);
    for (uint32_t i = 1; i < COUNT; i += 2)
        assert_false(exit_handler_has_twin(handlers[i]));
    for (uint32_t i = 0; i < COUNT; i += 2)
        assert_int_not_equal(exit_handler_new(i, 8, 3)->number, before + i + 1);
    assert_int_equal(exit_handler_count(), before + COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_tell_sort_and_size),
        cmocka_unit_test(streams_are_no_objects),
        cmocka_unit_test(pointers_are_told_from_numbers),
        cmocka_unit_test(only_pointers_are_poisoned),
        cmocka_unit_test(a_new_object_has_other_poison),
        cmocka_unit_test(whole_pages_are_taken_away_with_their_content),
        cmocka_unit_test(unknown_size_is_one_address),
        cmocka_unit_test(handlers_are_kept),
    };
    return cmocka_run_group_tests_name("static", tests, NULL, NULL);
}
