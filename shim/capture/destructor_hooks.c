/* Destructor hooks: see destructor_hooks.h. */
#include "capture/destructor_hooks.h"

#include "capture/destructor_name.h"
#include "capture/symbol.h"

#include "base/memory.h"
#include "base/output.h"
#include "base/text.h"
#include "event/event.h"
#include "patch/functions.h"
#include "patch/module_file.h"
#include "patch/patch.h"

#include <link.h>

/* The hooks' numbers are places in here. */
static struct patch *patches;
static uint32_t patch_count, patch_room;

struct entered {
    uintptr_t original;
    uintptr_t follow;
};

/* Called by the code below. */
struct entered destructor_entered(uint32_t number, void *self, uintptr_t slot)
    __attribute__((visibility("hidden")));
void destructor_left(uintptr_t slot) __attribute__((visibility("hidden")));
void destructor_entry(void) __attribute__((visibility("hidden")));

struct entered destructor_entered(uint32_t number, void *self, uintptr_t slot)
{
    const struct patch *patch = &patches[number];
    const struct caller caller = {*(const uintptr_t *)slot, slot};
    return (struct entered){patch->original,
                            event_destructor_entered(patch->function, self, caller)};
}

void destructor_left(uintptr_t slot)
{
    event_destructor_left(slot);
}

/* Destructors take `this` and at most a table of base tables (%rsi, Itanium C++ ABI 2.6), and
 * nothing on the stack: they can be called from here where their end is wanted. */
__asm__(".pushsection .text\n"
        ".hidden destructor_entry\n"
        ".globl destructor_entry\n"
        ".type destructor_entry, @function\n"
        "destructor_entry:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\n"
        "mov %rsp, %rbp\n"
        ".cfi_def_cfa_register rbp\n"
        "push %rdi\n"
        "push %rsi\n"
        "mov %rdi, %rsi\n"
        "mov %r11d, %edi\n"
        "lea 8(%rbp), %rdx\n"
        "call destructor_entered\n"
        "pop %rsi\n"
        "pop %rdi\n"
        "test %rdx, %rdx\n"
        "jnz 1f\n"
        "pop %rbp\n"
        ".cfi_remember_state\n"
        ".cfi_def_cfa rsp, 8\n"
        "jmp *%rax\n"
        ".cfi_restore_state\n"
        "1: call *%rax\n"
        "lea 8(%rbp), %rdi\n"
        "call destructor_left\n"
        "pop %rbp\n"
        ".cfi_def_cfa rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size destructor_entry, . - destructor_entry\n"
        ".popsection\n");

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

static bool note_destructor(const struct function *function, void *context)
{
    struct search *search = context;
    if (function->name == NULL || function->size == 0 || function->indirect ||
        destructor_kind(function->name) == 0 || destructor_is_standard(function->name))
        return true;
    if (!search->fill) {
        search->found++;
        return true;
    }
    uintptr_t start = search->bias + function->start;
    if (is_new_start(&search->starts, start) && patch_count < patch_room) {
        patches[patch_count] = (struct patch){.function = start,
                                              .size = function->size,
                                              .hook = (uintptr_t)destructor_entry,
                                              .number = patch_count};
        patch_count++;
    }
    return true;
}

static void patch_module(uintptr_t bias, const char *path)
{
    static struct module_file file;
    struct search search = {.bias = bias, .starts.size = 64};
    if (!module_file_open(&file, path))
        return;
    if (module_file_is_loaded(&file, bias)) {
        (void)module_file_open_debug(&file);
        (void)module_file_functions(&file, note_destructor, &search);
    }
    while (search.starts.size < search.found * 2)
        search.starts.size *= 2;
    size_t bytes = search.starts.size * sizeof *search.starts.table;
    uint32_t first = patch_count;
    if (search.found > 0 && patch_start() && (search.starts.table = memory_map(bytes)) != NULL) {
        search.fill = true;
        (void)module_file_functions(&file, note_destructor, &search);
        memory_unmap(search.starts.table, bytes);
    }
    module_file_close(&file);
    if (patch_count == first)
        return;
    patch_prepare(patches + first, patch_count - first);
    if (!patch_install(patches + first, patch_count - first))
        patch_count = first;
    for (uint32_t i = first; i < patch_count; i++)
        event_destructors_seen += patches[i].refusal == PATCH_FINE;
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

/* Whether the library asks for a C++ library. */
static bool is_cplusplus(const struct link_map *object)
{
    const char *strings = NULL;
    for (const ElfW(Dyn) *entry = object->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
    if (strings == NULL || (uintptr_t)strings < object->l_addr)
        return false;
    for (const ElfW(Dyn) *entry = object->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_NEEDED &&
            (text_find(strings + entry->d_un.d_val, "libstdc++.so") != NULL ||
             text_find(strings + entry->d_un.d_val, "libc++.so") != NULL))
            return true;
    return false;
}

#define DESTRUCTORS_MOST 65536

void destructor_hooks_start(void)
{
    patch_room = DESTRUCTORS_MOST;
    patches = memory_map(patch_room * sizeof *patches);
    if (patches == NULL) {
        output_tell_once("no memory for the table of destructors: none is seen", NULL);
        return;
    }
    const struct link_map *program = symbol_objects();
    if (program != NULL)
        patch_module(program->l_addr, "/proc/self/exe");
    for (const struct link_map *object = program == NULL ? NULL : program->l_next; object != NULL;
         object = object->l_next)
        if (object->l_name[0] == '/' && !ends_known(object->l_name) && is_cplusplus(object))
            patch_module(object->l_addr, object->l_name);
}
