/* Tests of the parsers of outside data: suppressions, /proc/self/maps, ELF files. */
#include "unit.h"

#include "outlive/elf_file.h"
#include "registry/task.h"
#include "report/modules.h"
#include "report/suppression.h"

#include <elf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void parses_suppressions(void **state)
{
    struct suppression suppression;
    const char *error = NULL, *line = "  late-touch:Monitor::run(std::string)  ";
    (void)state;
    assert_true(suppression_parse(&suppression, line, strlen(line), &error));
    assert_string_equal(suppression.kind, "late-touch");
    assert_string_equal(suppression.pattern, "Monitor::run(std::string)");
    assert_true(suppression_parse(&suppression, "*:x", 3, &error));
    assert_true(suppression_parse(&suppression, "# comment", 9, &error));
    assert_string_equal(suppression.kind, "");
    assert_true(suppression_parse(&suppression, "", 0, &error));
    assert_false(suppression_parse(&suppression, "late-touch", 10, &error));
    assert_non_null(strstr(error, "kind:pattern"));
    assert_false(suppression_parse(&suppression, "late-touch:", 11, &error));
    assert_false(suppression_parse(&suppression, "unknown:x", 9, &error));
    assert_non_null(strstr(error, "does not exist"));
}

static void parses_maps(void **state)
{
    const char *line = "7f0000001000-7f0000003000 r-xp 00001000 08:01 1234   /usr/lib/a b.so";
    uintptr_t start, end;
    bool readable;
    uint64_t offset;
    const char *path;
    size_t length;
    (void)state;
    assert_true(
        modules_parse_line(line, strlen(line), &start, &end, &readable, &offset, &path, &length));
    assert_int_equal(start, 0x7f0000001000);
    assert_int_equal(end, 0x7f0000003000);
    assert_int_equal(offset, 0x1000);
    assert_true(readable);
    assert_memory_equal(path, "/usr/lib/a b.so", length);
    static const char *const bad[] = {
        "",
        "-",
        "7f00-",
        "7f00-6f00 r-xp 0 0:0 0 /x",
        "7f00-8f00 r-xp",
        "zz-8f00 r-xp 0 0:0 0 /x",
        "7f0000001000-7f0000003000 rw-p 00000000 00:00 0 [heap]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(modules_parse_line(bad[i], strlen(bad[i]), &start, &end, &readable, &offset,
                                        &path, &length));
}

/* As lld lays files out: text begins in the first page of the file, which is mapped twice. */
static void joins_mappings_of_the_first_page(void **state)
{
    char path[] = "/tmp/outlive-modules-XXXXXX";
    unsigned char file[4096] = {0};
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 2};
    Elf64_Phdr segments[2] = {
        {.p_type = PT_LOAD, .p_filesz = 0x600, .p_memsz = 0x600},
        {.p_type = PT_LOAD, .p_offset = 0x600, .p_vaddr = 0x1600, .p_filesz = 64, .p_memsz = 64},
    };
    (void)state;
    memcpy(file, &header, sizeof header);
    memcpy(file + sizeof header, segments, sizeof segments);
    int descriptor = mkstemp(path);
    assert_int_equal(write(descriptor, file, sizeof file), sizeof file);
    char *start = mmap(NULL, 8 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t page = 0; page < 2; page++)
        assert_ptr_not_equal(mmap(start + page * 4096, 4096,
                                  page == 0 ? PROT_READ : PROT_READ | PROT_EXEC,
                                  MAP_PRIVATE | MAP_FIXED, descriptor, 0),
                             MAP_FAILED);
    /* Mapped once more elsewhere it is another module. */
    char *other = mmap(start + 6 * 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, descriptor, 0);
    modules_read();
    const struct module *module = modules_find((uintptr_t)start + 0x1610);
    assert_non_null(module);
    assert_int_equal(module->bias, start);
    module = modules_find((uintptr_t)other);
    assert_non_null(module);
    assert_int_equal(module->start, other);
    munmap(start, 8 * 4096);
    close(descriptor);
    unlink(path);
}

static unsigned char *read_self(size_t *size)
{
    FILE *file = fopen("/proc/self/exe", "rb");
    unsigned char *bytes = malloc(1 << 24);
    assert_non_null(file);
    *size = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    return bytes;
}

static void parses_where_a_thread_waits(void **state)
{
    struct task_call call;
    (void)state;
    assert_true(task_call_parse(
        "230 0x0 0x0 0x7ffedef2ae60 0x7ffedef2aea0 0x0 0x0 0x7ffedef2ae48 0x7fbed4382503\n",
        &call));
    assert_int_equal(call.pointer, 0x7ffedef2ae48);
    assert_int_equal(call.address, 0x7fbed4382503);
    assert_int_equal(call.number, 230);
    assert_int_equal(call.arguments[2], 0x7ffedef2ae60);
    assert_int_equal(call.arguments[5], 0);
    assert_true(task_call_has_end(&call));
    assert_true(task_call_parse("7 0x7f01 0x1 0xffffffff 0x0 0x0 0x0 0x7f01 0x7f02\n", &call));
    assert_false(task_call_has_end(&call)); /* poll() without a timeout */
    assert_true(task_call_parse("7 0x7f01 0x1 0x64 0x0 0x0 0x0 0x7f01 0x7f02\n", &call));
    assert_true(task_call_has_end(&call));
    assert_true(task_call_parse("-1 0x7f01 0x7f02\n", &call)); /* outside of any call */
    assert_int_equal(call.pointer, 0x7f01);
    assert_int_equal(call.address, 0x7f02);
    assert_int_equal(call.number, -1);
    assert_false(task_call_has_end(&call));
    assert_false(task_call_parse("running\n", &call));
    assert_false(task_call_parse("", &call));
    assert_false(task_call_parse("0 0x1", &call));
}

static void inspects_elf(void **state)
{
    size_t size;
    unsigned char *bytes = read_self(&size), copy[64];
    (void)state;
    /* This very test is built with a sanitizer. */
    assert_int_equal(elf_inspect(bytes, size), ELF_SANITIZER);
    assert_int_equal(elf_inspect(bytes, 10), ELF_NOT_ELF);
    assert_int_equal(elf_inspect(bytes, 30), ELF_BROKEN);
    assert_int_equal(elf_inspect((const unsigned char *)"hello, world, this is text", 26),
                     ELF_NOT_ELF);
    memcpy(copy, bytes, sizeof copy);
    copy[EI_CLASS] = ELFCLASS32;
    assert_int_equal(elf_inspect(copy, sizeof copy), ELF_32_BIT);
    memcpy(copy, bytes, sizeof copy);
    copy[18] = 0xb7; /* e_machine: AArch64 */
    assert_int_equal(elf_inspect(copy, sizeof copy), ELF_OTHER_MACHINE);
    for (int refusal = ELF_NOT_ELF; refusal <= ELF_SANITIZER; refusal++)
        assert_true(strlen(elf_refusal_text((enum elf_refusal)refusal)) > 10);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_suppressions),
        cmocka_unit_test(parses_maps),
        cmocka_unit_test(joins_mappings_of_the_first_page),
        cmocka_unit_test(parses_where_a_thread_waits),
        cmocka_unit_test(inspects_elf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
