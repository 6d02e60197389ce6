/* Tests of the file of a module and of the search for its separate debug file. */
#include "unit.h"

#include "unit/small_elf.h"

#include "patch/module_file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct small_elf program, debug;
static struct module_file file;

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, size, 1, stream), 1);
    fclose(stream);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)remove(path);
}

/* Bit by bit, unlike the code under test. */
static uint32_t checksum(const void *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= ((const unsigned char *)bytes)[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}

static int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/outlive-module-XXXXXX");
    char path[128];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/.debug", folder);
    (void)mkdir(path, 0700);
    small_elf_make(&program);
    program.sections[SMALL_ELF_SYMTAB].sh_type = SHT_NULL;
    small_elf_make(&debug);
    debug.sections[SMALL_ELF_DYNSYM].sh_type = SHT_NOBITS;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    module_file_close(&file);
    remove_file("program");
    remove_file("small.debug");
    remove_file(".debug/small.debug");
    remove_file(".debug");
    return rmdir(folder);
}

static bool open_program(void)
{
    char path[128];
    module_file_close(&file);
    write_file("program", &program, sizeof program);
    snprintf(path, sizeof path, "%s/program", folder);
    return module_file_open(&file, path);
}

static bool count(const struct function *function, void *context)
{
    assert_non_null(function->name);
    ++*(size_t *)context;
    return true;
}

static void finds_by_build_id(void **state)
{
    static const char *const places[] = {"small.debug", ".debug/small.debug"};
    (void)state;
    assert_true(open_program());
    assert_false(module_file_open_debug(&file));
    for (size_t i = 0; i < 2; i++) {
        size_t functions = 0;
        write_file(places[i], &debug, sizeof debug);
        assert_true(module_file_open_debug(&file));
        assert_non_null(strstr(file.debug_path, places[i]));
        assert_true(module_file_functions(&file, count, &functions));
        assert_int_equal(functions, 1 + 2);
        remove_file(places[i]);
    }
    debug.build_id.id[19] ^= 1;
    write_file("small.debug", &debug, sizeof debug);
    assert_false(module_file_open_debug(&file));
    assert_string_equal(file.debug_path, "");
    assert_int_equal(file.debug.size, 0);
}

static void finds_by_checksum(void **state)
{
    (void)state;
    program.build_id.header.n_type++;
    program.debug_link.crc = checksum(&debug, sizeof debug);
    write_file("small.debug", &debug, sizeof debug);
    assert_true(open_program());
    assert_true(module_file_open_debug(&file));
    debug.code[0]++;
    write_file("small.debug", &debug, sizeof debug);
    assert_false(module_file_open_debug(&file));
}

static void refuses_others(void **state)
{
    (void)state;
    debug.sections[SMALL_ELF_TEXT].sh_addr++;
    write_file("small.debug", &debug, sizeof debug);
    assert_true(open_program());
    assert_false(module_file_open_debug(&file));
    strcpy(program.debug_link.name, "program"); /* itself */
    assert_true(open_program());
    assert_false(module_file_open_debug(&file));
    strcpy(program.debug_link.name, "../x/y");
    assert_true(open_program());
    assert_false(module_file_open_debug(&file));
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    assert_false(module_file_open(&file, folder));
    assert_false(module_file_open(&file, "/dev/null"));
    assert_false(module_file_open(&file, "/nonexistent"));
    program.header.e_machine = EM_AARCH64;
    assert_false(open_program());
    module_file_close(&file);
}

static int find_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
    (void)size;
    *(uintptr_t *)bias = info->dlpi_addr;
    return 1; /* the executable comes first */
}

static void knows_what_is_loaded(void **state)
{
    (void)state;
    uintptr_t bias = 0;
    dl_iterate_phdr(find_bias, &bias);
    assert_true(module_file_open(&file, "/proc/self/exe"));
    assert_int_equal(file.path[0], '/');
    assert_null(strstr(file.path, "/proc/"));
    assert_true(module_file_is_loaded(&file, bias));
    /* Another file at the path. */
    assert_true(open_program());
    program.dynamic[0].d_un.d_val++;
    assert_true(module_file_is_loaded(&file, (uintptr_t)file.image.bytes - SMALL_ELF_BASE));
    program.build_id.id[0]++;
    assert_false(module_file_is_loaded(&file, (uintptr_t)&program - SMALL_ELF_BASE));
    program.build_id.id[0]--;
    assert_true(module_file_is_loaded(&file, (uintptr_t)&program - SMALL_ELF_BASE));
    program.header.e_entry++;
    assert_false(module_file_is_loaded(&file, (uintptr_t)&program - SMALL_ELF_BASE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_by_build_id, start, finish),
        cmocka_unit_test_setup_teardown(finds_by_checksum, start, finish),
        cmocka_unit_test_setup_teardown(refuses_others, start, finish),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, start, finish),
        cmocka_unit_test_setup_teardown(knows_what_is_loaded, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
