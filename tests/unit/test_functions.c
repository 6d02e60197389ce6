/* Tests of the functions of an ELF file: over one made in memory, and over this very program, where
 * the compiler knows better. */
#include "unit.h"

#include "unit/small_elf.h"

#include "patch/functions.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct small_elf file;

#define CODE SMALL_ELF_ADDRESS(code)

struct collected {
    struct function functions[16];
    size_t count, most; /* most: the visitor ends the walk there */
};

static bool collect(const struct function *function, void *context)
{
    struct collected *collected = context;
    assert_true(collected->count < 16);
    collected->functions[collected->count++] = *function;
    return collected->count != collected->most;
}

static int start(void **state)
{
    (void)state;
    small_elf_make(&file);
    return 0;
}

static struct elf_image open_image(void)
{
    struct elf_image image;
    assert_true(elf_image_open(&image, (const unsigned char *)&file, sizeof file));
    return image;
}

static void check(const struct function *function, uint64_t address, uint64_t size,
                  const char *name)
{
    assert_int_equal(function->start, address);
    assert_int_equal(function->size, size);
    if (name == NULL)
        assert_null(function->name);
    else
        assert_string_equal(function->name, name);
}

static void opens(void **state)
{
    (void)state;
    struct elf_image image = open_image();
    Elf64_Shdr section;
    Elf64_Phdr segment;
    assert_int_equal(image.sections, SMALL_ELF_SECTIONS);
    assert_true(elf_image_section_named(&image, ".eh_frame", &section));
    assert_int_equal(section.sh_addr, SMALL_ELF_ADDRESS(frames));
    assert_false(elf_image_section_named(&image, ".eh_fram", &section));
    assert_false(elf_image_section(&image, SMALL_ELF_SECTIONS, &section));
    assert_true(elf_image_segment(&image, 4, &segment));
    assert_false(elf_image_segment(&image, 5, &segment));
    assert_ptr_equal(elf_image_at(&image, CODE, 64), file.code);
    assert_null(elf_image_at(&image, CODE, sizeof file - offsetof(struct small_elf, code) + 1));
    assert_null(elf_image_at(&image, CODE, SIZE_MAX));
    assert_null(elf_image_at(&image, SMALL_ELF_BASE - 1, 1));
    for (size_t size = 0; size < sizeof file.header + sizeof file.segments; size++)
        assert_false(elf_image_open(&image, (const unsigned char *)&file, size));
}

/* Section 0 says what does not fit the header. */
static void opens_many_sections(void **state)
{
    (void)state;
    file.header.e_shnum = 0;
    file.header.e_shstrndx = SHN_XINDEX;
    file.sections[0].sh_size = SMALL_ELF_SECTIONS;
    file.sections[0].sh_link = SMALL_ELF_STRTAB;
    struct elf_image image = open_image();
    Elf64_Shdr section;
    assert_int_equal(image.sections, SMALL_ELF_SECTIONS);
    assert_true(elf_image_section_named(&image, ".eh_frame", &section));
    file.sections[0].sh_size = UINT64_MAX / 2;
    image = open_image();
    assert_int_equal(image.sections, 0);
}

static void reads_notes(void **state)
{
    (void)state;
    unsigned char id[ELF_BUILD_ID_SIZE];
    uint32_t crc;
    for (int stripped = 0; stripped < 2; stripped++) {
        struct elf_image image = open_image();
        assert_int_equal(elf_image_build_id(&image, id), 20);
        assert_memory_equal(id, file.build_id.id, 20);
        const char *link = elf_image_debug_link(&image, &crc);
        if (stripped) {
            assert_null(link);
        } else {
            assert_string_equal(link, "small.debug");
            assert_int_equal(crc, 0x12345678);
        }
        file.header.e_shoff = 0;
    }
    file.build_id.header.n_descsz = 21;
    struct elf_image image = open_image();
    assert_int_equal(elf_image_build_id(&image, id), 0);
}

static void reads_symbols(void **state)
{
    (void)state;
    struct collected found = {0};
    struct elf_image image = open_image();
    assert_true(functions_has_symtab(&image));
    assert_true(functions_by_symbol(&image, collect, &found));
    assert_int_equal(found.count, 3);
    check(&found.functions[0], CODE, 8, "main");
    check(&found.functions[1], CODE + 8, 9, "by_resolver");
    check(&found.functions[2], CODE, 8, "main"); /* of .dynsym */
    assert_false(found.functions[0].indirect);
    assert_true(found.functions[1].indirect);
    found = (struct collected){.most = 2};
    assert_false(functions_by_symbol(&image, collect, &found));
    assert_int_equal(found.count, 2);
}

static void reads_symbols_as_the_loader(void **state)
{
    (void)state;
    file.header.e_shoff = 0;
    struct elf_image image = open_image();
    assert_false(functions_has_symtab(&image));
    for (int hash = 0; hash < 2; hash++) {
        struct collected found = {0};
        assert_true(functions_by_symbol(&image, collect, &found));
        assert_int_equal(found.count, 1);
        check(&found.functions[0], CODE, 8, "main");
        file.dynamic[4].d_tag = DT_HASH;
        file.hash[1] = 3;
    }
    file.hash[1] = UINT32_MAX; /* more than the segment holds: only what it holds is read */
    struct elf_symbols symbols;
    assert_true(elf_image_symbols(&image, SHT_DYNSYM, &symbols));
    assert_true(symbols.count < sizeof file / sizeof(Elf64_Sym));
}

static void reads_frames(void **state)
{
    (void)state;
    for (int stripped = 0; stripped < 2; stripped++) {
        struct collected found = {0};
        struct elf_image image = open_image();
        assert_true(functions_by_frame(&image, collect, &found));
        assert_int_equal(found.count, 5);
        check(&found.functions[0], CODE, 8, NULL);
        check(&found.functions[1], CODE + 8, 9, NULL);
        check(&found.functions[2], CODE + 24, 11, NULL);
        check(&found.functions[3], CODE + 32, 12, NULL);
        check(&found.functions[4], CODE + 48, 13, NULL);
        found = (struct collected){.most = 1};
        assert_false(functions_by_frame(&image, collect, &found));
        file.header.e_shoff = 0;
    }
}

static void survives_bad_frames(void **state)
{
    (void)state;
    struct collected found = {0};
    file.frames.b.length = UINT32_MAX - 1;
    file.frames.a.back = 3; /* no common part stands there */
    struct elf_image image = open_image();
    assert_true(functions_by_frame(&image, collect, &found));
    assert_int_equal(found.count, 0);
    file.frame_header.frames = INT32_MAX;
    file.header.e_shoff = 0;
    image = open_image();
    assert_true(functions_by_frame(&image, collect, &found));
    assert_int_equal(found.count, 0);
}

static void survives_wild_numbers(void **state)
{
    static const uint64_t numbers[] = {0,          1,         sizeof file - 1, sizeof file,
                                       UINT32_MAX, INT64_MAX, UINT64_MAX - 1,  UINT64_MAX};
    (void)state;
    unsigned char *exact = malloc(sizeof file); /* ASan watches its end */
    for (size_t at = 0; at + sizeof(uint64_t) <= sizeof file; at++)
        for (size_t i = 0; i < 2 * sizeof numbers / sizeof *numbers; i++) {
            struct collected found = {.most = 16};
            struct elf_image image;
            unsigned char id[ELF_BUILD_ID_SIZE];
            uint32_t crc;
            start(NULL);
            if (i % 2 == 1)
                file.header.e_shoff = 0;
            memcpy((char *)&file + at, &numbers[i / 2], sizeof numbers[i / 2]);
            memcpy(exact, &file, sizeof file);
            if (!elf_image_open(&image, exact, sizeof file))
                continue;
            (void)functions_by_symbol(&image, collect, &found);
            for (size_t name = 0; name < found.count; name++)
                (void)strlen(found.functions[name].name);
            found.count = 0;
            (void)functions_by_frame(&image, collect, &found);
            (void)elf_image_build_id(&image, id);
            (void)elf_image_debug_link(&image, &crc);
        }
    free(exact);
}

struct search {
    uint64_t address;
    struct function by_symbol, by_frame;
    size_t symbols, frames;
};

static bool look(const struct function *function, void *context)
{
    struct search *search = context;
    search->symbols += function->name != NULL;
    search->frames += function->name == NULL;
    if (function->start == search->address && function->name != NULL)
        search->by_symbol = *function;
    if (function->start == search->address && function->name == NULL)
        search->by_frame = *function;
    return true;
}

static void reads_this_program(void **state)
{
    (void)state;
    struct stat status;
    struct elf_image image;
    Dl_info info;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(self, &status), 0);
    size_t size = (size_t)status.st_size;
    unsigned char *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, self, 0);
    close(self);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    assert_true(elf_image_open(&image, bytes, size));
    assert_true(functions_has_symtab(&image));
    assert_int_not_equal(dladdr((const void *)&file, &info), 0);
    struct search search = {.address = (uintptr_t)look - (uintptr_t)info.dli_fbase};
    assert_true(functions_by_symbol(&image, look, &search));
    assert_true(functions_by_frame(&image, look, &search));
    assert_string_equal(search.by_symbol.name, "look");
    assert_true(search.by_symbol.size > 10);
    assert_int_equal(search.by_frame.size, search.by_symbol.size);
    assert_true(search.frames > 10 && search.symbols > search.frames / 2);
    size_t frames = search.frames;
    assert_memory_equal(elf_image_at(&image, search.address, 16), (const void *)(uintptr_t)look,
                        16);

    unsigned char *stripped = malloc(size);
    memcpy(stripped, bytes, size);
    memset(stripped + offsetof(Elf64_Ehdr, e_shoff), 0, sizeof image.header.e_shoff);
    assert_true(elf_image_open(&image, stripped, size));
    search.by_frame.size = search.frames = 0;
    assert_true(functions_by_frame(&image, look, &search));
    assert_int_equal(search.by_frame.size, search.by_symbol.size);
    assert_int_equal(search.frames, frames);
    free(stripped);
    munmap(bytes, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(opens, start),
        cmocka_unit_test_setup(opens_many_sections, start),
        cmocka_unit_test_setup(reads_notes, start),
        cmocka_unit_test_setup(reads_symbols, start),
        cmocka_unit_test_setup(reads_symbols_as_the_loader, start),
        cmocka_unit_test_setup(reads_frames, start),
        cmocka_unit_test_setup(survives_bad_frames, start),
        cmocka_unit_test_setup(survives_wild_numbers, start),
        cmocka_unit_test(reads_this_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
