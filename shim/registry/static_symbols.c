/* Static symbols: see static_symbols.h. */
#include "registry/static_symbols.h"

#include "base/memory.h"
#include "base/text.h"
#include "patch/destructor.h"
#include "patch/module_file.h"

#include <link.h>

static struct lock symbols_lock;

void static_symbols_sort(struct static_key *keys, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < count; i++) {
            struct static_key key = keys[i];
            size_t at = i;
            for (; at >= gap && keys[at - gap].address > key.address; at -= gap)
                keys[at] = keys[at - gap];
            keys[at] = key;
        }
}

/* The first key at or behind the address. */
static size_t first_from(const struct static_key *keys, size_t count, uintptr_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keys[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of libstdc++: it counts how many use the standard streams, which themselves never end. */
static bool is_stream_counter(const char *name)
{
    return text_begins(name, "_ZNSt8ios_base4InitD");
}

/* GCC's and clang's names for functions that they make. */
static bool is_array_function(const char *name)
{
    return text_begins(name, "__tcf_") || text_begins(name, "__cxx_global_array_dtor");
}

static uint8_t sort_of(const char *name)
{
    struct destructor parsed;
    if (destructor_parse(name, &parsed) && !is_stream_counter(name))
        return EXIT_FUNCTION_DESTRUCTOR;
    return is_array_function(name) ? EXIT_FUNCTION_ARRAY : EXIT_FUNCTION_PLAIN;
}

/* A function that equal bodies were folded into is a destructor if one of its names is. */
static void note_symbol(const Elf64_Sym *symbol, const char *name, struct static_key *key)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (key->is_function && (type == STT_FUNC || type == STT_GNU_IFUNC)) {
        uint8_t sort = sort_of(name);
        if (!key->found || sort > key->sort)
            key->sort = sort;
        key->found = true;
    } else if (!key->is_function && type == STT_OBJECT && symbol->st_shndx != SHN_UNDEF &&
               symbol->st_size > key->size) {
        key->size = symbol->st_size;
    }
}

static void look_through(const struct elf_symbols *symbols, uintptr_t bias, struct static_key *keys,
                         size_t count)
{
    for (size_t i = 0; i < symbols->count; i++) {
        Elf64_Sym symbol;
        const char *name = elf_symbols_at(symbols, i, &symbol);
        /* An undefined function with a value is its call stub in an executable at a fixed address,
         * which stands for it. */
        if (symbol.st_value == 0 || ELF64_ST_TYPE(symbol.st_info) == STT_TLS)
            continue;
        uintptr_t address = bias + symbol.st_value;
        for (size_t at = first_from(keys, count, address);
             at < count && keys[at].address == address; at++)
            note_symbol(&symbol, name, &keys[at]);
    }
}

void static_symbols_look_up(const struct elf_image *image, uintptr_t bias, struct static_key *keys,
                            size_t count)
{
    struct elf_symbols symbols;
    if (elf_image_symbols(image, SHT_SYMTAB, &symbols))
        look_through(&symbols, bias, keys, count);
    if (elf_image_symbols(image, SHT_DYNSYM, &symbols))
        look_through(&symbols, bias, keys, count);
}

/* Their objects serve the program to the very end. */
static bool is_runtime(const char *path)
{
    static const char *const names[] = {"/libstdc++.so", "/libc++.so",    "/libc++abi.so",
                                        "/libc.so",      "/libgcc_s.so",  "/ld-linux",
                                        "/libpthread",   "/liboutlive.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_find(path, names[i]) != NULL)
            return true;
    return false;
}

struct extent {
    uintptr_t start, end;
};

static bool contains(struct extent extent, uintptr_t address)
{
    return address >= extent.start && address < extent.end;
}

static struct extent extent_of(const struct dl_phdr_info *info)
{
    struct extent extent = {UINTPTR_MAX, 0};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type != PT_LOAD || header->p_memsz == 0)
            continue;
        extent.start = start < extent.start ? start : extent.start;
        extent.end = end > extent.end ? end : extent.end;
    }
    return extent;
}

/* Start and end of the writable segment that the address lies in; 0: in none. */
static uintptr_t writable_segment(const struct dl_phdr_info *info, uintptr_t address,
                                  uintptr_t *end)
{
    *end = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD || (header->p_flags & PF_W) == 0 ||
            address - start >= header->p_memsz)
            continue;
        *end = start + header->p_memsz;
        return start;
    }
    return 0;
}

/* Bytes of that segment from the address on. */
static size_t writable_bytes(const struct dl_phdr_info *info, uintptr_t address)
{
    uintptr_t end;
    (void)writable_segment(info, address, &end);
    return end == 0 ? 0 : end - address;
}

static const char *path_of(const struct dl_phdr_info *info)
{
    return info->dlpi_name == NULL || info->dlpi_name[0] == '\0' ? "/proc/self/exe"
                                                                 : info->dlpi_name;
}

/* The file's symbols, and those of its separate debug file. */
static void read_file(const struct dl_phdr_info *info,
                      void (*look)(const struct elf_image *image, uintptr_t bias, void *context),
                      void *context)
{
    static struct module_file file; /* under the lock */
    if (!module_file_open(&file, path_of(info)))
        return;
    if (module_file_is_loaded(&file, info->dlpi_addr)) {
        look(&file.image, info->dlpi_addr, context);
        if (module_file_open_debug(&file))
            look(&file.debug, info->dlpi_addr, context);
    }
    module_file_close(&file);
}

struct keys {
    struct static_key *first;
    size_t count;
};

static void look_up(const struct elf_image *image, uintptr_t bias, void *context)
{
    const struct keys *keys = context;
    static_symbols_look_up(image, bias, keys->first, keys->count);
}

static struct keys keys_within(const struct keys *keys, struct extent extent)
{
    size_t start = first_from(keys->first, keys->count, extent.start);
    size_t end = first_from(keys->first, keys->count, extent.end);
    return (struct keys){keys->first + start, end > start ? end - start : 0};
}

static int read_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct keys keys = keys_within(context, extent_of(info));
    (void)size;
    if (keys.count > 0)
        read_file(info, look_up, &keys);
    return 0;
}

static void judge(struct static_key *key, const struct dl_phdr_info *info, struct extent extent)
{
    struct exit_handler *handler = exit_handler_of_number(key->handler);
    size_t room = is_runtime(path_of(info)) ? 0 : writable_bytes(info, key->address);
    /* Without a symbol it may be any function of the library's own. */
    key->found =
        room > 0 && (handler->sort != EXIT_FUNCTION_STRIPPED ||
                     (contains(extent, handler->function) && contains(extent, handler->library)));
    handler->size = key->size > room ? 0 : key->size;
}

static int judge_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct extent extent = extent_of(info);
    struct keys keys = keys_within(context, extent);
    (void)size;
    for (size_t i = 0; i < keys.count; i++)
        if (!keys.first[i].is_function)
            judge(&keys.first[i], info, extent);
    return 0;
}

static size_t list_keys(struct static_key *keys, size_t room)
{
    size_t count = 0;
    for (uint32_t i = 0; i < exit_handler_count() && count + 2 <= room; i++) {
        const struct exit_handler *handler = exit_handler_of_number(i);
        if (atomic_load(&handler->state) == EXIT_HANDLER_UNUSED ||
            handler->sort != EXIT_FUNCTION_UNKNOWN)
            continue;
        keys[count++] =
            (struct static_key){.address = handler->function, .handler = i, .is_function = true};
        keys[count++] = (struct static_key){.address = handler->argument, .handler = i};
    }
    return count;
}

static void take_sorts(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->first[i].is_function)
            exit_handler_of_number(keys->first[i].handler)->sort =
                keys->first[i].found ? keys->first[i].sort : EXIT_FUNCTION_STRIPPED;
}

/* An object lies in the data of a module. */
static void drop_others(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        struct exit_handler *handler = exit_handler_of_number(keys->first[i].handler);
        if (!keys->first[i].is_function && !keys->first[i].found &&
            handler->sort != EXIT_FUNCTION_ARRAY)
            handler->sort = EXIT_FUNCTION_PLAIN;
    }
}

static void read_all(void)
{
    size_t room = 2 * (size_t)exit_handler_count(), size = room * sizeof(struct static_key);
    struct keys keys = {memory_map(size), 0};
    if (keys.first == NULL)
        return;
    keys.count = list_keys(keys.first, room);
    static_symbols_sort(keys.first, keys.count);
    (void)dl_iterate_phdr(read_module, &keys);
    take_sorts(&keys);
    (void)dl_iterate_phdr(judge_module, &keys);
    drop_others(&keys);
    memory_unmap(keys.first, size);
}

static int may_matter(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct exit_handler *handler = context;
    (void)size;
    if (handler->argument == 0 ? !contains(extent_of(info), handler->function)
                               : writable_bytes(info, handler->argument) == 0)
        return 0;
    return is_runtime(path_of(info)) ? 0 : 1;
}

enum exit_function static_symbols_of(struct exit_handler *handler)
{
    lock_take(&symbols_lock);
    /* Most often it is something of libstdc++'s own: that is answered without reading. */
    if (handler->sort == EXIT_FUNCTION_UNKNOWN && dl_iterate_phdr(may_matter, handler) == 0)
        handler->sort = EXIT_FUNCTION_PLAIN;
    if (handler->sort == EXIT_FUNCTION_UNKNOWN)
        read_all();
    enum exit_function sort = handler->sort;
    lock_release(&symbols_lock);
    return sort;
}

struct search {
    uintptr_t address, start;
    size_t size;
};

static void look_around(const struct elf_image *image, uintptr_t bias, void *context)
{
    static const unsigned types[] = {SHT_SYMTAB, SHT_DYNSYM};
    struct search *search = context;
    struct elf_symbols symbols;
    for (size_t table = 0; table < sizeof types / sizeof *types; table++)
        for (size_t i = 0; elf_image_symbols(image, types[table], &symbols) && i < symbols.count;
             i++) {
            Elf64_Sym symbol;
            (void)elf_symbols_at(&symbols, i, &symbol);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_shndx != SHN_UNDEF &&
                search->address - (bias + symbol.st_value) < symbol.st_size &&
                symbol.st_size > search->size) {
                search->start = bias + symbol.st_value;
                search->size = symbol.st_size;
            }
        }
}

static int search_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    (void)size;
    if (is_runtime(path_of(info)) || writable_bytes(info, search->address) == 0)
        return 0;
    read_file(info, look_around, search);
    if (search->size > writable_bytes(info, search->start))
        search->size = 0;
    return 1;
}

bool static_symbols_around(uintptr_t address, uintptr_t *start, size_t *size)
{
    struct search search = {.address = address};
    lock_take(&symbols_lock);
    (void)dl_iterate_phdr(search_module, &search);
    lock_release(&symbols_lock);
    *start = search.start;
    *size = search.size;
    return search.size > 0;
}

struct data {
    uintptr_t address, start, end;
};

static int find_data(struct dl_phdr_info *info, size_t size, void *context)
{
    struct data *data = context;
    (void)size;
    data->start = writable_segment(info, data->address, &data->end);
    if (data->end != 0 || !contains(extent_of(info), data->address))
        return data->end != 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_W) == 0 ||
            header->p_memsz <= data->end - data->start)
            continue;
        data->start = info->dlpi_addr + header->p_vaddr;
        data->end = data->start + header->p_memsz;
    }
    return 1;
}

void static_symbols_data(uintptr_t address, uintptr_t *start, uintptr_t *end)
{
    struct data data = {.address = address};
    (void)dl_iterate_phdr(find_data, &data);
    *start = data.start;
    *end = data.end;
}

void static_symbols_prepare_fork(void)
{
    lock_before_fork(&symbols_lock);
}

void static_symbols_forked(bool child)
{
    lock_after_fork(&symbols_lock, child);
}
