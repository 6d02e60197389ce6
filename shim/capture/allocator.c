/* Allocator: see allocator.h. */
#include "capture/allocator.h"

#include "capture/family_hooks.h"
#include "capture/hidden_use.h"
#include "capture/linked_runtime.h"
#include "capture/real.h"
#include "capture/relay.h"
#include "capture/sized_allocator.h"
#include "capture/symbol.h"

#include "base/output.h"
#include "base/text.h"
#include "event/event.h"
#include "patch/functions.h"
#include "patch/lto.h"
#include "patch/module_file.h"
#include "patch/patch.h"
#include "registry/stack.h"
#include "report/report.h"

#include <elf.h>
#include <link.h>

/* Weak: another C library's loader must take the shim in, see start.c. */
#pragma weak dladdr1

/* What is looked for in a module: the hooks' names, and where each finds the function behind it. */
struct entry {
    const char *name;
    uintptr_t hook;
    void *real; /* of any function type */
    uintptr_t start;
    size_t size;
};

#define MOST 192
static struct entry entries[MOST];
static size_t entry_count, standard_count;
/* No part of the allocator, but of what is linked in with it. */
static struct entry *pure_virtual, *terminate;

enum { BUCKETS = 512 };
static uint8_t bucket_of[BUCKETS]; /* entry number + 1, by hash of the name */

static void add_entry(const char *name, uintptr_t hook, void *slot)
{
    if (entry_count == MOST)
        return;
    entries[entry_count] = (struct entry){.name = name, .hook = hook, .real = slot};
    uint32_t bucket = symbol_hash(name);
    while (bucket_of[bucket % BUCKETS] != 0)
        bucket++;
    bucket_of[bucket % BUCKETS] = (uint8_t)++entry_count;
}

static void list_entries(void)
{
#define HOOK(name) add_entry(#name, (uintptr_t)&name, &real.name);
#include "capture/allocator_hooks.def"
#undef HOOK
    standard_count = entry_count;
    size_t count;
    const struct family_entry *family = family_entries(&count);
    for (size_t i = 0; i < count; i++)
        add_entry(family[i].name, family[i].hook, family[i].real);
    pure_virtual = &entries[entry_count];
    add_entry("__cxa_pure_virtual", (uintptr_t)&__cxa_pure_virtual, &real.__cxa_pure_virtual);
    terminate = &entries[entry_count];
    add_entry("_ZSt9terminatev", (uintptr_t)&_ZSt9terminatev, &real._ZSt9terminatev);
}

static bool is_beside(const struct entry *entry)
{
    return entry == pure_virtual || entry == terminate;
}

static struct entry *entry_named(const char *name)
{
    for (uint32_t bucket = symbol_hash(name); bucket_of[bucket % BUCKETS] != 0; bucket++) {
        struct entry *entry = &entries[bucket_of[bucket % BUCKETS] - 1];
        if (text_equal(entry->name, name))
            return entry;
    }
    return NULL;
}

static bool was_found(const char *name)
{
    const struct entry *entry = entry_named(name);
    return entry != NULL && entry->start != 0;
}

static bool is_operator(const struct entry *entry)
{
    return entry->name[0] == '_' && entry->name[1] == 'Z';
}

static bool note_function(const struct function *function, void *context)
{
    uintptr_t bias = *(const uintptr_t *)context;
    struct entry *entry =
        function->name == NULL || function->indirect ? NULL : entry_named(function->name);
    if (entry != NULL && (entry->start == 0 || entry->size == 0)) {
        entry->start = bias + function->start;
        entry->size = function->size;
    }
    return true;
}

/* Operators new that have no name: what they get from malloc is theirs. */
static struct {
    uintptr_t start, end;
} news[RUNTIME_NEWS];
static size_t new_count;
static bool hides_new; /* the program has some that were not found */

bool allocator_is_new(uintptr_t address)
{
    for (size_t i = 0; i < new_count; i++)
        if (address > news[i].start && address <= news[i].end)
            return true;
    return false;
}

/* What a stripped program has linked in. */
static void find_runtime(const struct module_file *file, uintptr_t bias)
{
    struct linked_runtime runtime;
    uintptr_t start = entry_named("malloc")->start;
    if (!patch_start())
        return;
    linked_runtime_find(&runtime, file, bias, start == 0 ? 0 : start - bias);
    for (size_t i = 0; i < RUNTIME_NEWS && runtime.news[i].size != 0; i++) {
        news[new_count].start = bias + runtime.news[i].start;
        news[new_count].end = news[new_count].start + runtime.news[i].size;
        stack_add_allocator((const void *)news[new_count++].start, runtime.news[i].size);
    }
    if (runtime.pure_virtual.size != 0 && pure_virtual->start == 0) {
        pure_virtual->start = bias + runtime.pure_virtual.start;
        pure_virtual->size = runtime.pure_virtual.size;
    }
    hides_new = runtime.is_there && new_count == 0;
}

/* operator new is the C++ library's, linked in: libstdc++'s own file for it is among the program's
 * (gcc's libstdc++-v3/libsupc++). */
static bool has_library_new;

/* Why patching the entries would not see all calls of the program's allocator, or NULL. */
static const char *hidden_calls;
static bool is_lto; /* the program */

static bool is_known_family(void)
{
    return was_found("mallocx") || was_found("tc_malloc") || was_found("mi_malloc");
}

/* Texts that their libraries print. */
static bool is_known_archive(const struct elf_image *image)
{
    static const char *const texts[] = {"<jemalloc>: ", "tcmalloc: allocation failed",
                                        "mimalloc: "};
    Elf64_Shdr data;
    const unsigned char *bytes =
        elf_image_section_named(image, ".rodata", &data) && data.sh_type != SHT_NOBITS
            ? elf_image_bytes(image, data.sh_offset, data.sh_size)
            : NULL;
    for (uint64_t at = 0; bytes != NULL && at < data.sh_size; at++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            size_t size = text_length(texts[i]);
            if (bytes[at] == (unsigned char)texts[i][0] && size <= data.sh_size - at &&
                __builtin_memcmp(bytes + at, texts[i], size) == 0)
                return true;
        }
    return false;
}

static void find_hidden_calls(const struct module_file *file, uintptr_t bias)
{
    static struct function found[MOST];
    struct hidden_use use = {.file = file, .bias = bias, .entries = found};
    hidden_calls = NULL;
    if (!was_found("malloc") || !was_found("free"))
        return;
    if (is_lto) {
        hidden_calls = "built with link-time optimisation, which may have put copies of it into "
                       "its callers";
        return;
    }
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].start != 0 && !is_beside(&entries[i]))
            found[use.count++] =
                (struct function){.start = entries[i].start - bias, .size = entries[i].size};
    if (is_known_family() || !patch_start()) /* all that takes blocks has its name */
        return;
    use.by_range = is_known_archive(&file->image);
    if (hidden_use_any(&use))
        hidden_calls = use.by_range
                           ? "the program calls functions of it whose names are stripped"
                           : "the program reaches it by other functions, too, or has copies of it";
}

static void find_in_program(const struct module_file *file, uintptr_t bias)
{
    is_lto =
        lto_sign(&file->image) != NULL || (file->debug.size != 0 && lto_sign(&file->debug) != NULL);
    bool is_stripped = !functions_has_symtab(&file->image) && file->debug.size == 0;
    if (is_lto || (is_stripped && !was_found("_Znwm")))
        find_runtime(file, bias);
    find_hidden_calls(file, bias);
}

/* The allocator's functions in one module. False: its file cannot be read. */
static bool find_entries(const struct link_map *module)
{
    static struct module_file file;
    uintptr_t bias = module->l_addr;
    const char *path = module->l_name[0] == '\0' ? "/proc/self/exe" : module->l_name;
    for (size_t i = 0; i < entry_count; i++)
        entries[i].start = entries[i].size = 0;
    if (!module_file_open(&file, path))
        return false;
    bool loaded = module_file_is_loaded(&file, bias);
    if (loaded) {
        (void)module_file_open_debug(&file);
        (void)module_file_functions(&file, note_function, &bias);
        has_library_new = functions_has_source(&file.image, "new_op.cc") ||
                          functions_has_source(&file.debug, "new_op.cc");
        hidden_calls = NULL;
        if (module->l_name[0] == '\0')
            find_in_program(&file, bias);
    }
    module_file_close(&file);
    return loaded;
}

static const char *name_of(const struct link_map *module)
{
    return module->l_name[0] == '\0' ? "the program" : module->l_name;
}

static const struct link_map *module_of(const void *function)
{
    Dl_info info;
    struct link_map *module = NULL;
    return function != NULL && dladdr1(function, &info, (void **)&module, RTLD_DL_LINKMAP) != 0
               ? module
               : NULL;
}

static void tell_refusal(const struct link_map *module, const char *entry, const char *why)
{
    static char line[OPTION_TEXT_SIZE];
    struct text text = text_in(line, sizeof line);
    text_format(&text, "the allocator of %s cannot be taken over: %s%s%s: its heap is not seen",
                name_of(module), entry, entry[0] == '\0' ? "" : ": ", why);
    output_tell_once(line, NULL);
}

/* Return addresses into the allocator's own functions. */
static struct {
    uintptr_t start, end;
} own[MOST];
static size_t own_count;

bool allocator_is_caller(uintptr_t address)
{
    for (size_t i = 0; i < own_count; i++)
        if (address > own[i].start && address <= own[i].end)
            return true;
    return false;
}

static bool has_result(const struct entry *entry)
{
    return !text_equal(entry->name, "free") && !text_equal(entry->name, "cfree") &&
           !text_begins(entry->name, "_Zd");
}

/* Several names of one body are one patch, with the hook of the first. */
static struct entry *first_with_same_start(struct entry *entry)
{
    struct entry *first = entries;
    while (first->start != entry->start)
        first++;
    return first;
}

/* Patches all entries that were found, whole or not at all. */
static bool take_entries(const struct link_map *module)
{
    bool own_code = module->l_name[0] == '\0' && !is_known_family();
    static struct patch patches[MOST];
    size_t count = 0;
    for (size_t i = 0; i < entry_count; i++) {
        struct entry *entry = &entries[i];
        if (entry->start == 0 || is_beside(entry) || first_with_same_start(entry) != entry)
            continue;
        bool may_be_inside = own_code && !(is_operator(entry) && has_library_new);
        patches[count++] = (struct patch){
            .function = entry->start,
            .size = entry->size,
            .hook =
                may_be_inside ? relay_to((uint32_t)i, entry->hook, has_result(entry)) : entry->hook,
            .number = (uint32_t)i};
    }
    if (count == 0)
        return true;
    if (!patch_start()) {
        tell_refusal(module, "", patch_refusal_text(PATCH_NO_DECODER));
        return false;
    }
    patch_prepare(patches, count);
    for (size_t i = 0; i < count; i++)
        if (patches[i].refusal != PATCH_FINE) {
            tell_refusal(module, entries[patches[i].number].name,
                         patch_refusal_text(patches[i].refusal));
            return false;
        }
    uintptr_t before[MOST];
    for (size_t i = 0; i < count; i++) {
        void *slot = entries[patches[i].number].real;
        __builtin_memcpy(&before[i], slot, sizeof before[i]);
        __builtin_memcpy(slot, &patches[i].original, sizeof patches[i].original);
    }
    if (!patch_install_whole(patches, count)) {
        size_t refused = 0;
        while (refused + 1 < count && patches[refused].refusal == PATCH_FINE)
            refused++;
        for (size_t i = 0; i < count; i++)
            __builtin_memcpy(entries[patches[i].number].real, &before[i], sizeof before[i]);
        tell_refusal(module, entries[patches[refused].number].name,
                     patch_refusal_text(patches[refused].refusal));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[patches[i].number];
        stack_add_allocator((const void *)entry->start, entry->size);
        if (!is_operator(entry)) {
            own[own_count].start = entry->start;
            own[own_count++].end = entry->start + entry->size;
        }
    }
    return true;
}

/* Whether or not the heap can be seen. */
static void take_beside(const struct entry *entry)
{
    struct patch patch = {.function = entry->start, .size = entry->size, .hook = entry->hook};
    uintptr_t before;
    if (patch.function == 0 || !patch_start())
        return;
    patch_prepare(&patch, 1);
    if (patch.refusal != PATCH_FINE)
        return;
    __builtin_memcpy(&before, entry->real, sizeof before);
    __builtin_memcpy(entry->real, &patch.original, sizeof patch.original);
    if (!patch_install(&patch, 1))
        __builtin_memcpy(entry->real, &before, sizeof before);
}

static void take_all_beside(void)
{
    take_beside(pure_virtual);
    take_beside(terminate);
}

static void forget_entries(bool (*keep)(const struct entry *entry))
{
    for (size_t i = 0; i < entry_count; i++)
        if (!keep(&entries[i]))
            entries[i].start = 0;
}

static bool is_family(const struct entry *entry)
{
    return (size_t)(entry - entries) >= standard_count;
}

static bool is_family_or_operator(const struct entry *entry)
{
    return is_family(entry) || is_operator(entry);
}

static bool is_standard_library(const char *file)
{
    static const char *const known[] = {"/libstdc++", "/libc++", "/libjemalloc", "/libtcmalloc",
                                        "/libmimalloc"};
    for (size_t i = 0; file != NULL && i < sizeof known / sizeof *known; i++)
        if (text_find(file, known[i]) != NULL)
            return true;
    return file == NULL;
}

/* An allocator that comes before the shim: all calls go to it. */
static bool take_first(const struct link_map *module, bool may_patch, struct allocator_found *found)
{
    if (!may_patch) {
        tell_refusal(module, "", "patch=0 forbids it");
        return false;
    }
    if (!find_entries(module)) {
        tell_refusal(module, "", "its file cannot be read");
        return false;
    }
    if (!was_found("malloc") || !was_found("free")) {
        tell_refusal(module, "", "its functions are not in its symbol tables");
        return false;
    }
    take_all_beside();
    bool has_size = was_found("malloc_usable_size"), has_new = was_found("_Znwm");
    if (hidden_calls == NULL && !has_new && hides_new)
        hidden_calls = "its operators new and delete have no names: the program is stripped";
    if (hidden_calls != NULL) {
        tell_refusal(module, "", hidden_calls);
        return false;
    }
    bool known = is_known_family();
    family_start(true);
    if (!take_entries(module))
        return false;
    if (!has_size && !sized_allocator_start())
        report_add_off("poison (no memory to keep the sizes of blocks)");
    if (has_new)
        found->new_policy = known || has_library_new ? NEW_IS_MALLOC : NEW_IS_PROGRAMS;
    return true;
}

/* Calls reach the shim first, except those inside the module itself: operators linked in, and what
 * an allocator offers beside malloc. */
static bool take_rest(const struct link_map *module, bool is_program, struct allocator_found *found)
{
    if (module == NULL || !find_entries(module))
        return true;
    if (is_program && was_found("malloc") && was_found("free"))
        report_add_off("blocks of a malloc that the program keeps to itself");
    bool has_new = was_found("_Znwm");
    if (is_program)
        take_all_beside();
    if (is_program && is_lto) { /* what they have from malloc is seen */
        if ((was_found("_Znwm") && new_count == 0) || was_found("je_malloc") || is_known_family())
            report_add_off("allocators of the program beside malloc, which was built with LTO");
        return true;
    }
    if (!is_program || is_known_family())
        family_start(!is_program);
    forget_entries(is_program ? is_family_or_operator : is_family);
    if (!take_entries(module))
        return false;
    if (is_program && has_new)
        found->new_policy = has_library_new ? NEW_IS_MALLOC : NEW_IS_PROGRAMS;
    return true;
}

struct allocator_found allocator_take(bool may_patch)
{
    struct allocator_found found = {.seen = true};
    void *first = symbol_find_first("malloc");
    const struct link_map *owner = module_of(first), *program = symbol_objects();
    found.new_policy = is_standard_library(real_file_of((void *)(uintptr_t)real._Znwm))
                           ? NEW_IS_MALLOC
                           : NEW_IS_LIBRARYS;
    list_entries();
    if (first != (void *)(uintptr_t)&malloc)
        found.seen = owner != NULL && take_first(owner, may_patch, &found);
    else if (may_patch) {
        const struct link_map *behind = module_of((void *)(uintptr_t)real.malloc);
        if (behind != NULL && text_find(behind->l_name, "/libc.so") == NULL)
            found.seen = take_rest(behind, false, &found);
    }
    if (found.seen && may_patch && owner != program && program != NULL)
        found.seen = take_rest(program, true, &found);
    return found;
}
