/* Tests of the command's ELF reader, over files made in memory. */
#include "unit.h"

#include "unit/small_elf.h"

#include "outlive/elf_file.h"

static struct small_elf image;

static int start(void **state)
{
    (void)state;
    small_elf_make(&image);
    return 0;
}

static enum elf_refusal inspect(size_t size)
{
    unsigned char *exact = malloc(size == 0 ? 1 : size); /* ASan watches its end */
    memcpy(exact, &image, size);
    enum elf_refusal refusal = elf_inspect(exact, size);
    free(exact);
    return refusal;
}

static void takes_a_program(void **state)
{
    (void)state;
    assert_int_equal(inspect(sizeof image), ELF_FINE);
    image.header.e_type = ET_EXEC;
    assert_int_equal(inspect(sizeof image), ELF_FINE);
    image.header.e_shnum = 0; /* sections are not needed to run */
    assert_int_equal(inspect(sizeof image), ELF_FINE);
}

static void refuses_by_header(void **state)
{
    (void)state;
    image.header.e_type = ET_REL;
    assert_int_equal(inspect(sizeof image), ELF_NOT_EXECUTABLE);
    image.header.e_machine = EM_AARCH64;
    assert_int_equal(inspect(sizeof image), ELF_OTHER_MACHINE);
    image.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_int_equal(inspect(sizeof image), ELF_BROKEN);
    image.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(inspect(sizeof image), ELF_32_BIT);
    image.header.e_ident[0] = 'M';
    assert_int_equal(inspect(sizeof image), ELF_NOT_ELF);
}

static void refuses_by_loader(void **state)
{
    (void)state;
    strcpy(image.interpreter, "/lib/ld-musl-x86_64.so.1");
    assert_int_equal(inspect(sizeof image), ELF_MUSL);
    image.segments[1].p_offset = UINT64_MAX - 3;
    assert_int_equal(inspect(sizeof image), ELF_BROKEN);
    image.segments[1].p_type = PT_NOTE;
    assert_int_equal(inspect(sizeof image), ELF_STATIC);
}

static void finds_sanitizers(void **state)
{
    static const char *const libraries[] = {"libasan.so.8", "libtsan.so.2", "libubsan.so.1",
                                            "libclang_rt.asan-x86_64.so"};
    static const char *const symbols[] = {"__asan_init", "__tsan_init", "__msan_init"};
    (void)state;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        start(NULL);
        strcpy(image.strings + SMALL_ELF_NEEDED, libraries[i]);
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        start(NULL);
        strcpy(image.strings + SMALL_ELF_FIRST_NAME, symbols[i]);
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
        image.sections[SMALL_ELF_SYMTAB].sh_type = SHT_NULL; /* stripped */
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
    }
    strcpy(image.strings + SMALL_ELF_FIRST_NAME, "__asan_initial");
    assert_int_equal(inspect(sizeof image), ELF_FINE);
}

static void survives_wild_numbers(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, sizeof image - 1, sizeof image, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    for (size_t at = 0; at + sizeof(uint64_t) <= offsetof(struct small_elf, interpreter); at++)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            start(NULL);
            memcpy((char *)&image + at, &numbers[i], sizeof numbers[i]);
            (void)inspect(sizeof image);
        }
}

static void survives_any_cut(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof image; size++)
        assert_true(inspect(size) <= ELF_SANITIZER);
    assert_int_equal(inspect(sizeof image.header), ELF_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_a_program, start),
        cmocka_unit_test_setup(refuses_by_header, start),
        cmocka_unit_test_setup(refuses_by_loader, start),
        cmocka_unit_test_setup(finds_sanitizers, start),
        cmocka_unit_test_setup(survives_wild_numbers, start),
        cmocka_unit_test_setup(survives_any_cut, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
