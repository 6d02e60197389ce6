/* Patched functions: see patched_functions.h. */
#include "capture/patched_functions.h"

#include "capture/annotation_hooks.h"
#include "capture/entry.h"
#include "capture/member_name.h"
#include "capture/symbol.h"

#include "base/lock.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/probe.h"
#include "base/text.h"
#include "event/event.h"
#include "patch/destructor.h"
#include "patch/functions.h"
#include "patch/module_file.h"

#include <link.h>

/* A module that was looked at. Its patches are a run of the table, and stay there when it is
 * unloaded: it often comes back to the same place. */
struct looked_at {
    uintptr_t bias;
    const void *dynamic;
    uint64_t path; /* hash */
    uint64_t code; /* hash of the functions' bytes as they were */
    uint32_t first, count;
    bool present;
};

#define MODULES_MOST 1024
static struct looked_at modules[MODULES_MOST];
static uint32_t module_count, entry_count;
static struct lock modules_lock;
static const char *watch;
static bool patches;

/* Starts that were taken already: complete and base destructors are often one body. */
struct starts {
    uintptr_t *table;
    size_t size;
};

struct search {
    uintptr_t bias;
    struct starts starts;
    size_t found;
    bool fill;
};

static bool is_new_start(struct starts *starts, uintptr_t start)
{
    size_t at = (start >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    for (;; at++) {
        uintptr_t *place = &starts->table[at & (starts->size - 1)];
        if (*place == start)
            return false;
        if (*place == 0) {
            *place = start;
            return true;
        }
    }
}

/* Patterns as in suppressions, split by commas. */
static bool is_watched(const char *class)
{
    char pattern[OPTION_TEXT_SIZE];
    for (const char *at = watch; *at != '\0';) {
        size_t length = 0;
        while (at[length] != '\0' && at[length] != ',')
            length++;
        struct text text = text_in(pattern, sizeof pattern);
        text_add_bytes(&text, at, length);
        if (length > 0 && text_matches(class, pattern))
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

/* Types of the standard library are members of others, which are seen. */
static bool is_standard(const char *mangled)
{
    static const char *const names[] = {"_ZNSt", "_ZNSs", "_ZNKSt", "_ZN9__gnu_cxx",
                                        "_ZN10__cxxabiv1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_begins(mangled, names[i]))
            return true;
    return false;
}

static bool note_function(const struct function *function, void *context)
{
    struct search *search = context;
    char class[1024];
    bool has_this = true;
    if (function->name == NULL || function->size == 0 || function->indirect ||
        is_standard(function->name))
        return true;
    struct destructor parsed;
    bool destructor = destructor_parse(function->name, &parsed);
    if (!destructor &&
        (watch[0] == '\0' || !member_class(function->name, class, sizeof class, &has_this) ||
         !is_watched(class)))
        return true;
    if (!search->fill) {
        search->found++;
        return true;
    }
    uintptr_t start = search->bias + function->start;
    if (!is_new_start(&search->starts, start))
        return true;
    if (entry_count == ENTRIES_MOST) {
        output_tell_once("too many destructors and watched functions: the later ones are not seen",
                         NULL);
        return false;
    }
    entry_flags[entry_count] = destructor || has_this ? ENTRY_HAS_THIS : 0;
    entry_table[entry_count] =
        (struct patch){.function = start,
                       .size = function->size,
                       .hook = destructor ? (uintptr_t)entry_destructor : (uintptr_t)entry_member,
                       .number = entry_count};
    entry_count++;
    return true;
}

/* Lists what is to be patched at the end of the table; returns how many. */
static uint32_t list_functions(uintptr_t bias, const char *path)
{
    static struct module_file file;
    struct search search = {.bias = bias, .starts.size = 64};
    uint32_t first = entry_count;
    if (!module_file_open(&file, path))
        return 0;
    if (module_file_is_loaded(&file, bias)) {
        (void)module_file_open_debug(&file);
        (void)module_file_functions(&file, note_function, &search);
    }
    while (search.starts.size < search.found * 2)
        search.starts.size *= 2;
    size_t bytes = search.starts.size * sizeof *search.starts.table;
    if (search.found > 0 && (search.starts.table = memory_map(bytes)) != NULL) {
        search.fill = true;
        (void)module_file_functions(&file, note_function, &search);
        memory_unmap(search.starts.table, bytes);
    }
    module_file_close(&file);
    return entry_count - first;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size-- > 0)
        hash = (hash ^ *at++) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

static uint64_t hash_path(const char *path)
{
    return hash_bytes(UINT64_C(0xcbf29ce484222325), path, text_length(path));
}

/* Of what is there: a symbol may tell any size. To the last byte: short functions go into their
 * trampolines whole. Aligned words lie on one page, so what follows the function is no hindrance.
 */
static uint64_t hash_body(uint64_t hash, uintptr_t start, size_t size)
{
    enum { LONGEST = 64 * 1024 };
    uint64_t word;
    uintptr_t end = start + (size > LONGEST ? LONGEST : size);
    for (uintptr_t at = start & -sizeof word; at < end; at += sizeof word) {
        if (!probe_word((const void *)at, &word))
            break;
        size_t first = at < start ? start - at : 0;
        size_t last = end - at < sizeof word ? end - at : sizeof word;
        hash = hash_bytes(hash, (const char *)&word + first, last - first);
    }
    return hash;
}

static uint64_t hash_code(uint32_t first, uint32_t count)
{
    uint64_t hash = count;
    for (uint32_t i = first; i < first + count; i++) {
        hash = hash_bytes(hash, &entry_table[i].function, sizeof entry_table[i].function);
        hash = hash_body(hash, entry_table[i].function, entry_table[i].size);
    }
    return hash;
}

static void count_seen(const struct looked_at *module)
{
    for (uint32_t i = module->first; i < module->first + module->count; i++)
        if (entry_table[i].refusal == PATCH_FINE) {
            bool member = entry_table[i].hook == (uintptr_t)entry_member;
            *(member ? &event_members_watched : &event_destructors_seen) += 1;
        }
}

static void install(const struct looked_at *module, bool unused)
{
    for (uint32_t i = module->first; i < module->first + module->count; i++) {
        if (entry_table[i].refusal == PATCH_THREADS)
            entry_table[i].refusal = PATCH_FINE;
        entry_table[i].unused = unused;
    }
    (void)patch_install(entry_table + module->first, module->count);
}

/* The same code at the same place as a module that is gone: its patches, or NULL. */
static struct looked_at *same_as_before(const struct looked_at *new)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (!modules[i].present && modules[i].count == new->count &&modules[i].code ==
                                       new->code &&modules[i].bias == new->bias)
            return &modules[i];
    return NULL;
}

static void patch_module(struct looked_at *new, const char *path, bool unused)
{
    new->first = entry_count;
    new->count = list_functions(new->bias, path);
    if (new->count == 0 || !patch_start()) {
        entry_count = new->first;
        new->count = 0;
        return;
    }
    new->code = hash_code(new->first, new->count);
    struct looked_at *before = same_as_before(new);
    if (before != NULL) {
        entry_count = new->first;
        new->first = before->first;
        before->count = 0; /* it is `new` now */
        install(new, unused);
        return;
    }
    patch_prepare(entry_table + new->first, new->count);
    install(new, unused);
    count_seen(new);
}

static bool ends_known(const char *path)
{
    static const char *const known[] = {"/libstdc++.so", "/libc++.so", "/libc++abi.so",
                                        "/liboutlive.so"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_find(path, known[i]) != NULL)
            return true;
    return false;
}

/* Whether it asks for a C++ library, or for what its unwinding needs. */
static bool is_cplusplus(const struct link_map *object)
{
    const char *strings = NULL;
    size_t size = 0;
    for (const ElfW(Dyn) *entry = object->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_STRSZ)
            size = entry->d_un.d_val;
    if (strings == NULL || (uintptr_t)strings < object->l_addr)
        return false;
    for (size_t at = 0; at < size; at += text_length(strings + at) + 1)
        if (text_find(strings + at, "libstdc++.so") != NULL ||
            text_find(strings + at, "libc++.so") != NULL ||
            text_equal(strings + at, "__gxx_personality_v0"))
            return true;
    return false;
}

/* Unloaded and loaded again between two looks: its code is new. */
static bool lost_patches(const struct looked_at *module)
{
    uint32_t i = module->first, end = module->first + module->count;
    while (i < end && entry_table[i].refusal != PATCH_FINE)
        i++;
    return i < end && !patch_is_installed(&entry_table[i]);
}

/* The one that is there, or else one that was there before. */
static struct looked_at *find_module(const struct link_map *object, uint64_t path)
{
    struct looked_at *found = NULL;
    for (uint32_t i = 0; i < module_count; i++)
        if (modules[i].dynamic == object->l_ld && modules[i].bias == object->l_addr &&
            modules[i].path == path && (found == NULL || modules[i].present))
            found = &modules[i];
    return found;
}

static struct looked_at *new_module(void)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (!modules[i].present && modules[i].count == 0)
            return &modules[i];
    if (module_count == MODULES_MOST) {
        output_tell_once("too many libraries were loaded: destructors of later ones are not seen",
                         NULL);
        return NULL;
    }
    return &modules[module_count++];
}

static void look_at(const struct link_map *object, const char *path, bool unused)
{
    uint64_t hash = hash_path(path);
    struct looked_at *module = find_module(object, hash);
    if (module != NULL && module->present && !lost_patches(module)) {
        module->present = true;
        return;
    }
    struct looked_at new = {
        .bias = object->l_addr, .dynamic = object->l_ld, .path = hash, .present = true};
    if (module != NULL)
        module->present = false;
    patch_module(&new, path, unused);
    if (module == NULL || module->count > 0)
        module = new_module();
    if (module != NULL)
        *module = new;
}

static bool is_listed(const struct looked_at *module)
{
    for (const struct link_map *object = symbol_objects(); object != NULL; object = object->l_next)
        if (object->l_ld == module->dynamic && object->l_addr == module->bias)
            return true;
    return false;
}

/* In the loader, or while there is one thread: the list must stand still. */
static void look_at_all(bool unused)
{
    for (uint32_t i = 0; i < module_count; i++)
        modules[i].present = modules[i].present && is_listed(&modules[i]);
    for (const struct link_map *object = symbol_objects(); object != NULL; object = object->l_next)
        if (object == symbol_objects())
            look_at(object, "/proc/self/exe", unused);
        else if (object->l_name[0] != '\0' && !ends_known(object->l_name) && is_cplusplus(object))
            look_at(object, object->l_name, unused);
}

/* The loader allocates between mapping a library and running its constructors: for what depends on
 * what, and for versions (elf/dl-deps.c, elf/dl-version.c in glibc). Then it holds its own lock,
 * and nobody can be running the new code. */
static bool look_in_time(struct thread_block *block, struct caller caller)
{
    uint64_t word;
    if (caller.slot >= block->loading_slot ||
        !probe_word((const void *)block->loading_slot, &word) || word != block->loading_return)
        return false;
    if (stack_is_loader(caller.address)) {
        annotation_hooks_look();
        if (patches) {
            lock_take(&modules_lock);
            look_at_all(true);
            lock_release(&modules_lock);
        }
    }
    return true;
}

void patched_functions_start(const struct options *options)
{
    watch = options->watch;
    patches = options->patch && entry_start();
    if (patches)
        look_at_all(false);
    else if (options->patch)
        output_tell_once("no memory for the table of destructors: none is seen", NULL);
    event_look_at_libraries = look_in_time;
}

void patched_functions_loading(struct caller caller)
{
    if (patches && guard_enter()) {
        (void)patch_start(); /* loads a library itself: not to be done later, in the loader */
        guard_leave();
    }
    event_loading(caller);
}

void patched_functions_prepare_fork(void)
{
    lock_before_fork(&modules_lock);
}

void patched_functions_forked(bool child)
{
    lock_after_fork(&modules_lock, child);
}
