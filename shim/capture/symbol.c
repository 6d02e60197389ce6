/* Symbol: see symbol.h. Formats: System V gABI chapter 5, and the GNU hash table and symbol
 * versions as glibc's elf/dl-lookup.c reads them. */
#include "capture/symbol.h"

#include "base/text.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>

/* Ours, by which we find ourselves in the loader's list. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

struct tables {
    uintptr_t base;
    const Elf64_Sym *symbols;
    const char *strings;
    const uint32_t *hash;
    const uint16_t *versions;
    const Elf64_Verdef *definitions;
    size_t definition_count;
};

uint32_t symbol_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* The loader relocates these entries in place, except in objects whose section is read-only. */
static const void *pointer_of(uintptr_t base, const Elf64_Dyn *entry)
{
    return (const void *)(entry->d_un.d_ptr < base ? base + entry->d_un.d_ptr : entry->d_un.d_ptr);
}

static void read_tables(struct tables *tables, uintptr_t base, const Elf64_Dyn *entry)
{
    *tables = (struct tables){.base = base};
    for (; entry->d_tag != DT_NULL; entry++)
        switch (entry->d_tag) {
        case DT_SYMTAB:
            tables->symbols = pointer_of(base, entry);
            break;
        case DT_STRTAB:
            tables->strings = pointer_of(base, entry);
            break;
        case DT_GNU_HASH:
            tables->hash = pointer_of(base, entry);
            break;
        case DT_VERSYM:
            tables->versions = pointer_of(base, entry);
            break;
        case DT_VERDEF:
            tables->definitions = pointer_of(base, entry);
            break;
        case DT_VERDEFNUM:
            tables->definition_count = entry->d_un.d_val;
            break;
        default:
            break;
        }
}

static const char *version_name(const struct tables *tables, unsigned index)
{
    const Elf64_Verdef *definition = tables->definitions;
    for (size_t i = 0; definition != NULL && i < tables->definition_count; i++) {
        if (definition->vd_ndx == index) {
            const Elf64_Verdaux *name =
                (const Elf64_Verdaux *)((const char *)definition + definition->vd_aux);
            return tables->strings + name->vda_name;
        }
        definition = (const Elf64_Verdef *)((const char *)definition + definition->vd_next);
    }
    return NULL;
}

static bool fits(const struct tables *tables, uint32_t index, const char *version)
{
    if (tables->versions == NULL)
        return true; /* a library that never had another version of it */
    uint16_t number = tables->versions[index];
    if (version == NULL)
        return (number & 0x8000) == 0; /* not hidden: the default */
    const char *name = version_name(tables, number & 0x7fff);
    return name != NULL && text_equal(name, version);
}

static void *look_up(const struct tables *tables, const char *name, const char *version)
{
    const uint32_t *header = tables->hash;
    uint32_t buckets = header[0], first = header[1], words = header[2], hash = symbol_hash(name);
    const uint32_t *bucket = header + 4 + 2 * (size_t)words, *chain = bucket + buckets;
    if (buckets == 0)
        return NULL;
    uint32_t index = bucket[hash % buckets];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t found = chain[index - first];
        const Elf64_Sym *symbol = &tables->symbols[index];
        unsigned type = ELF64_ST_TYPE(symbol->st_info);
        if ((found | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF && type == STT_FUNC &&
            text_equal(tables->strings + symbol->st_name, name) && fits(tables, index, version))
            return (void *)(tables->base + symbol->st_value);
        if ((found & 1) != 0)
            return NULL;
    }
}

static void search_object(const struct link_map *object, struct symbol_request *requests,
                          unsigned count)
{
    struct tables tables;
    read_tables(&tables, object->l_addr, object->l_ld);
    if (tables.symbols == NULL || tables.strings == NULL || tables.hash == NULL)
        return;
    for (unsigned i = 0; i < count; i++)
        if (requests[i].address == NULL)
            requests[i].address = look_up(&tables, requests[i].name, requests[i].version);
}

/* glibc's list by its symbol, any other loader's by the executable's DT_DEBUG (System V ABI,
 * dynamic linking): the shim must load there to say that it steps aside. */
#pragma weak _r_debug
const struct link_map *symbol_objects(void)
{
    if (&_r_debug != NULL)
        return _r_debug.r_map;
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    uintptr_t base = 0;
    for (size_t i = 0; headers != NULL && i < getauxval(AT_PHNUM); i++) {
        if (headers[i].p_type == PT_PHDR)
            base = (uintptr_t)headers - headers[i].p_vaddr;
        if (headers[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(base + headers[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_DEBUG)
                return ((const struct r_debug *)entry->d_un.d_ptr)->r_map;
    }
    return NULL;
}

void *symbol_find_first(const char *name)
{
    struct symbol_request request = {name, NULL, NULL};
    for (const struct link_map *object = symbol_objects(); object != NULL; object = object->l_next)
        search_object(object, &request, 1);
    return request.address;
}

void symbol_find_next(struct symbol_request *requests, unsigned count)
{
    const struct link_map *object = symbol_objects();
    while (object != NULL && object->l_ld != _DYNAMIC)
        object = object->l_next;
    while (object != NULL && (object = object->l_next) != NULL)
        search_object(object, requests, count);
}
