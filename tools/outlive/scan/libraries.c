/* Libraries: see libraries.h. How the loader looks: ld.so(8); the format of its cache: glibc's
 * sysdeps/generic/dl-cache.h. Files named by a hostile ELF file may be hostile, too. */
#include "outlive/scan/libraries.h"

#include "patch/module_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARIES_MOST 512
#define CACHE_MAGIC "glibc-ld.so.cache1.1"

struct entry {
    char *name;
    struct module_file file; /* image.size 0: not found */
    size_t needed_by;        /* index, or NONE for the file itself */
};

#define NONE SIZE_MAX

struct walk {
    const struct elf_image *image;
    const char *path;
    struct entry *entries[LIBRARIES_MOST];
    size_t count;
    const unsigned char *cache;
    size_t cache_size;
};

static void open_cache(struct walk *walk)
{
    struct stat status;
    int file = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 48) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes != MAP_FAILED) {
            walk->cache = bytes;
            walk->cache_size = (size_t)status.st_size;
        }
    }
    if (file >= 0)
        close(file);
}

static uint32_t cache_word(const struct walk *walk, size_t at)
{
    uint32_t word = 0;
    if (at + sizeof word <= walk->cache_size)
        memcpy(&word, walk->cache + at, sizeof word);
    return word;
}

static const char *cache_string(const struct walk *walk, size_t at)
{
    if (at >= walk->cache_size || memchr(walk->cache + at, '\0', walk->cache_size - at) == NULL)
        return "";
    return (const char *)walk->cache + at;
}

static bool try_path(struct entry *entry, const char *path)
{
    return module_file_open(&entry->file, path);
}

/* Of several entries the first that is an x86-64 file. */
static bool try_cache(const struct walk *walk, struct entry *entry)
{
    if (walk->cache == NULL || memcmp(walk->cache, CACHE_MAGIC, sizeof CACHE_MAGIC - 1) != 0)
        return false;
    uint32_t count = cache_word(walk, 20);
    for (size_t i = 0; i < count && 48 + 24 * (i + 1) <= walk->cache_size; i++) {
        size_t at = 48 + 24 * i;
        if (strcmp(cache_string(walk, cache_word(walk, at + 4)), entry->name) == 0 &&
            try_path(entry, cache_string(walk, cache_word(walk, at + 8))))
            return true;
    }
    return false;
}

/* The folder of a list's element, with $ORIGIN filled in; false: too long, or unknown variables. */
static bool expand(const char *element, size_t length, const char *of, char *folder)
{
    static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
    const char *slash = strrchr(of, '/');
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        size_t prefix = strlen(origins[i]);
        if (length >= prefix && strncmp(element, origins[i], prefix) == 0)
            return snprintf(folder, PATH_MAX, "%.*s%.*s", slash == NULL ? 1 : (int)(slash - of),
                            slash == NULL ? "." : of, (int)(length - prefix),
                            element + prefix) < PATH_MAX &&
                   strchr(folder, '$') == NULL;
    }
    return memchr(element, '$', length) == NULL && length > 0 &&
           snprintf(folder, PATH_MAX, "%.*s", (int)length, element) < PATH_MAX;
}

static bool try_list(struct entry *entry, const char *list, const char *of)
{
    char folder[PATH_MAX], path[2 * PATH_MAX];
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (length < PATH_MAX && expand(at, length, of, folder)) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->name);
            if (try_path(entry, path))
                return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

static const char *run_path(const struct elf_image *image, int64_t tag)
{
    struct elf_dynamic dynamic;
    uint64_t value;
    if (!elf_image_dynamic(image, &dynamic) || !elf_dynamic_value(&dynamic, tag, &value))
        return "";
    return elf_strings_at(&dynamic.strings, value);
}

static bool find(const struct walk *walk, struct entry *entry)
{
    const struct elf_image *by = walk->image;
    const char *by_path = walk->path, *environment = getenv("LD_LIBRARY_PATH");
    if (entry->needed_by != NONE) {
        by = &walk->entries[entry->needed_by]->file.image;
        by_path = walk->entries[entry->needed_by]->file.path;
    }
    if (strchr(entry->name, '/') != NULL)
        return try_path(entry, entry->name);
    const char *newer = run_path(by, DT_RUNPATH);
    if (*newer == '\0' && (try_list(entry, run_path(by, DT_RPATH), by_path) ||
                           try_list(entry, run_path(walk->image, DT_RPATH), walk->path)))
        return true;
    return (environment != NULL && try_list(entry, environment, by_path)) ||
           try_list(entry, newer, by_path) || try_cache(walk, entry) ||
           try_list(entry,
                    "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:"
                    "/usr/lib",
                    by_path);
}

static void add(struct walk *walk, const char *name, size_t needed_by)
{
    for (size_t i = 0; i < walk->count; i++)
        if (strcmp(walk->entries[i]->name, name) == 0)
            return;
    if (walk->count == LIBRARIES_MOST || strlen(name) >= PATH_MAX)
        return;
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL || (entry->name = strdup(name)) == NULL) {
        free(entry);
        return;
    }
    entry->needed_by = needed_by;
    walk->entries[walk->count++] = entry;
    (void)find(walk, entry);
}

static void add_needed(struct walk *walk, const struct elf_image *image, size_t by)
{
    struct elf_dynamic dynamic;
    if (!elf_image_dynamic(image, &dynamic))
        return;
    for (size_t i = 0; i < dynamic.count && walk->count < LIBRARIES_MOST; i++) {
        Elf64_Dyn entry;
        elf_dynamic_at(&dynamic, i, &entry);
        if (entry.d_tag == DT_NEEDED)
            add(walk, elf_strings_at(&dynamic.strings, entry.d_un.d_val), by);
    }
}

void libraries_walk(const struct elf_image *image, const char *path, library_visitor visit,
                    void *context)
{
    struct walk walk = {.image = image, .path = path};
    open_cache(&walk);
    add_needed(&walk, image, NONE);
    for (size_t i = 0; i < walk.count; i++) {
        struct entry *entry = walk.entries[i];
        bool found = entry->file.image.size != 0;
        struct library library = {entry->name, found ? entry->file.path : NULL,
                                  found ? &entry->file.image : NULL, entry->needed_by == NONE};
        visit(&library, context);
        if (found)
            add_needed(&walk, &entry->file.image, i);
    }
    for (size_t i = 0; i < walk.count; i++) {
        module_file_close(&walk.entries[i]->file);
        free(walk.entries[i]->name);
        free(walk.entries[i]);
    }
    if (walk.cache != NULL)
        munmap((void *)walk.cache, walk.cache_size);
}
