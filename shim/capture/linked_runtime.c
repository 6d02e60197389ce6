/* Linked runtime: see linked_runtime.h. Names of types stay in a stripped file, for exceptions. */
#include "capture/linked_runtime.h"

#include "base/text.h"
#include "patch/decoder.h"

#define CALLED_MOST 8
#define PART_MOST 256 /* bytes of a function's cold part, which throws */

static const char bad_alloc[] = "St9bad_alloc";
static const char message[] = "pure virtual method called\n";

struct search {
    const struct elf_image *image;
    struct linked_runtime *runtime;
    size_t news;
    uint64_t type;                /* std::bad_alloc's type_info */
    uint64_t text;                /* what __cxa_pure_virtual says; 0: nowhere */
    uint64_t called[CALLED_MOST]; /* malloc and its like, or what jumps there */
    size_t called_count;
    uint64_t slots[CALLED_MOST]; /* that hold their addresses */
    size_t slot_count;
};

static bool is_among(const uint64_t *list, size_t count, uint64_t sought)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == sought)
            return true;
    return false;
}

/* Where a string stands whole, its end included, in what is not written to; from `after` on. */
static uint64_t find_string(const struct elf_image *image, const char *string, size_t size,
                            uint64_t after)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++) {
        const unsigned char *bytes =
            segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0
                ? NULL
                : elf_image_bytes(image, segment.p_offset, segment.p_filesz);
        for (uint64_t at = 0; bytes != NULL && at + size <= segment.p_filesz; at++)
            if (bytes[at] == (unsigned char)string[0] && segment.p_vaddr + at > after &&
                __builtin_memcmp(bytes + at, string, size) == 0)
                return segment.p_vaddr + at;
    }
    return 0;
}

/* The type_info whose name is there: its second word (Itanium C++ ABI, 2.9.5), as it was loaded. */
static uint64_t find_type(const struct elf_image *image, uintptr_t bias, uint64_t name)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++) {
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) == 0)
            continue;
        uint64_t first = (segment.p_vaddr + 7) & ~UINT64_C(7),
                 end = segment.p_vaddr + segment.p_filesz;
        for (uint64_t at = first; at + 8 <= end; at += 8)
            if (*(const uint64_t *)(bias + at) == bias + name)
                return at - 8;
    }
    return 0;
}

static bool allocates(const char *name)
{
    static const char *const names[] = {"malloc", "aligned_alloc", "memalign", "posix_memalign"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal(name, names[i]))
            return true;
    return false;
}

static void find_slots(struct search *search, int64_t table_tag, int64_t size_tag)
{
    struct elf_dynamic dynamic;
    struct elf_symbols symbols;
    uint64_t table, size;
    if (!elf_image_dynamic(search->image, &dynamic) ||
        !elf_image_symbols(search->image, SHT_DYNSYM, &symbols) ||
        !elf_dynamic_value(&dynamic, table_tag, &table) ||
        !elf_dynamic_value(&dynamic, size_tag, &size))
        return;
    const unsigned char *bytes = elf_image_at(search->image, table, size);
    for (uint64_t at = 0; bytes != NULL && at + sizeof(Elf64_Rela) <= size;
         at += sizeof(Elf64_Rela)) {
        Elf64_Rela entry;
        Elf64_Sym symbol;
        __builtin_memcpy(&entry, bytes + at, sizeof entry);
        uint64_t type = ELF64_R_TYPE(entry.r_info), number = ELF64_R_SYM(entry.r_info);
        if ((type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT) && number != 0 &&
            number < symbols.count && allocates(elf_symbols_at(&symbols, number, &symbol)) &&
            search->slot_count < CALLED_MOST)
            search->slots[search->slot_count++] = entry.r_offset;
    }
}

/* The linker's stubs: jmp *slot(%rip), after endbr64 and bnd where these are used. */
static void find_stubs(struct search *search)
{
    Elf64_Phdr segment;
    for (unsigned i = 0; elf_image_segment(search->image, i, &segment); i++) {
        const unsigned char *bytes =
            segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0
                ? NULL
                : elf_image_bytes(search->image, segment.p_offset, segment.p_filesz);
        for (uint64_t at = 0; bytes != NULL && at + 6 <= segment.p_filesz; at++) {
            int32_t distance;
            if (bytes[at] != 0xff || bytes[at + 1] != 0x25)
                continue;
            __builtin_memcpy(&distance, bytes + at + 2, sizeof distance);
            uint64_t slot = segment.p_vaddr + at + 6 + (uint64_t)(int64_t)distance, start = at;
            if (!is_among(search->slots, search->slot_count, slot))
                continue;
            if (start > 0 && bytes[start - 1] == 0xf2)
                start--;
            if (start >= 4 && __builtin_memcmp(bytes + start - 4, "\xf3\x0f\x1e\xfa", 4) == 0)
                start -= 4;
            if (search->called_count < CALLED_MOST)
                search->called[search->called_count++] = segment.p_vaddr + start;
        }
    }
}

/* Whether four bytes at `address` lead to the target: from their end, or as they are. */
static bool leads_to(const unsigned char *bytes, uint64_t address, uint64_t target)
{
    int32_t distance;
    __builtin_memcpy(&distance, bytes, sizeof distance);
    return address + 4 + (uint64_t)(int64_t)distance == target ||
           (uint64_t)(uint32_t)distance == target;
}

static bool mentions(const unsigned char *bytes, size_t size, uint64_t address, uint64_t target)
{
    for (size_t at = 0; at + 4 <= size; at++)
        if (leads_to(bytes + at, address + at, target))
            return true;
    return false;
}

/* Whether it calls malloc, calls through a register, and throws, itself or in its cold part. */
static bool is_new(const struct search *search, const unsigned char *bytes,
                   const struct function *function)
{
    bool asks = false, handles = false;
    bool throws = mentions(bytes, function->size, function->start, search->type);
    struct instruction instruction;
    for (size_t at = 0; at < function->size; at += instruction.length) {
        if (!decode(&instruction, bytes + at, function->size - at))
            return false;
        uint64_t target =
            function->start + at + instruction.length + (uint64_t)instruction.relative;
        if (instruction.kind == INSTRUCTION_CALL_INDIRECT && instruction.rip_at == 0)
            handles = true;
        else if (instruction.kind == INSTRUCTION_CALL_INDIRECT)
            asks = asks || is_among(search->slots, search->slot_count, target);
        else if (instruction.kind == INSTRUCTION_CALL)
            asks = asks || is_among(search->called, search->called_count, target);
        else if (instruction.branches && target - function->start >= function->size && !throws) {
            const unsigned char *part = elf_image_at(search->image, target, PART_MOST);
            throws = part != NULL && mentions(part, PART_MOST, target, search->type);
        }
    }
    return asks && handles && throws;
}

static bool look_at(const struct function *function, void *context)
{
    struct search *search = context;
    struct linked_runtime *runtime = search->runtime;
    const unsigned char *bytes = elf_image_at(search->image, function->start, function->size);
    bool calls = false, says = false;
    for (size_t at = 0; bytes != NULL && at + 5 <= function->size && !calls; at++) {
        int32_t distance;
        __builtin_memcpy(&distance, bytes + at + 1, sizeof distance);
        uint64_t target = function->start + at + 5 + (uint64_t)(int64_t)distance;
        calls = (bytes[at] == 0xe8 && is_among(search->called, search->called_count, target)) ||
                is_among(search->slots, search->slot_count, target);
        says = says || target == search->text || (uint64_t)(uint32_t)distance == search->text;
    }
    if (calls && search->news < RUNTIME_NEWS && is_new(search, bytes, function))
        runtime->news[search->news++] = (struct runtime_function){function->start, function->size};
    if (says && search->text != 0)
        runtime->pure_virtual = (struct runtime_function){function->start, function->size};
    return true;
}

void linked_runtime_find(struct linked_runtime *runtime, const struct module_file *file,
                         uintptr_t bias, uint64_t malloc_start)
{
    struct search search = {.image = &file->image, .runtime = runtime};
    *runtime = (struct linked_runtime){.is_there = false};
    for (uint64_t name = 0; search.type == 0;) {
        name = find_string(search.image, bad_alloc, sizeof bad_alloc, name);
        if (name == 0)
            return;
        search.type = find_type(search.image, bias, name);
    }
    runtime->is_there = true;
    search.text = find_string(search.image, message, sizeof message, 0);
    find_slots(&search, DT_JMPREL, DT_PLTRELSZ);
    find_slots(&search, DT_RELA, DT_RELASZ);
    find_stubs(&search);
    if (malloc_start != 0 && search.called_count < CALLED_MOST)
        search.called[search.called_count++] = malloc_start;
    (void)functions_by_frame(search.image, look_at, &search);
}
