/* Tests of the command's ELF reader, over files made in memory. */
#include "unit.h"

#include "outlive/elf_file.h"

#include <elf.h>

/* Small, but with all that the reader looks at. */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Dyn dynamic[4];
    Elf64_Shdr sections[3];
    Elf64_Sym symbols[2];
    char interpreter[32];
    char strings[64]; /* 1: the needed library, 32: the symbol's name */
};

static struct image image;

static int start(void **state)
{
    (void)state;
    image = (struct image){
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_phoff = offsetof(struct image, segments),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3,
                   .e_shoff = offsetof(struct image, sections),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = 3},
        .segments = {{.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(struct image)},
                     {.p_type = PT_INTERP,
                      .p_offset = offsetof(struct image, interpreter),
                      .p_filesz = sizeof image.interpreter},
                     {.p_type = PT_DYNAMIC,
                      .p_offset = offsetof(struct image, dynamic),
                      .p_filesz = sizeof image.dynamic}},
        .dynamic = {{DT_NEEDED, {.d_val = 1}},
                    {DT_STRTAB, {.d_ptr = 0x1000 + offsetof(struct image, strings)}},
                    {DT_NULL, {0}}},
        .sections = {{0},
                     {.sh_type = SHT_SYMTAB,
                      .sh_offset = offsetof(struct image, symbols),
                      .sh_size = sizeof image.symbols,
                      .sh_link = 2},
                     {.sh_type = SHT_STRTAB,
                      .sh_offset = offsetof(struct image, strings),
                      .sh_size = sizeof image.strings}},
        .symbols = {{0}, {.st_name = 32, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)}},
        .interpreter = "/lib64/ld-linux-x86-64.so.2",
    };
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    strcpy(image.strings + 1, "libc.so.6");
    strcpy(image.strings + 32, "main");
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
        strcpy(image.strings + 1, libraries[i]);
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        start(NULL);
        strcpy(image.strings + 32, symbols[i]);
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
        image.sections[1].sh_type = SHT_DYNSYM;
        assert_int_equal(inspect(sizeof image), ELF_SANITIZER);
    }
    strcpy(image.strings + 32, "__asan_initial");
    assert_int_equal(inspect(sizeof image), ELF_FINE);
}

static void survives_wild_numbers(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, sizeof image - 1, sizeof image, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    for (size_t at = 0; at + sizeof(uint64_t) <= offsetof(struct image, interpreter); at++)
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
