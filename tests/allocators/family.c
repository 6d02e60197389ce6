/* What jemalloc, tcmalloc and mimalloc offer beside malloc, each on the blocks of the others and of
 * malloc, where they share its heap. Says "fine", or what is not. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_at(bool right, int line)
{
    if (right)
        return;
    printf("wrong at line %d\n", line);
    fflush(stdout);
    _exit(3);
}
#define CHECK(right) check_at(right, __LINE__)

static char *filled(void *block, size_t size)
{
    CHECK(block != NULL);
    return memset(block, 'f', size);
}

static bool holds(const char *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != 'f')
            return false;
    return true;
}

#ifndef TCMALLOC
/* What was zeroed is so to its end when it grows, on a heap whose free blocks hold something else.
 * The sizes leave room at the end of a block. */
enum { ZEROED = 4200, USED_BEFORE = 400 };

static void check_zeroed(char *(*make)(size_t size), char *(*grow)(char *block, size_t size),
                         void (*end)(void *block))
{
    static char *before[USED_BEFORE];
    for (size_t i = 0; i < USED_BEFORE; i++)
        before[i] = filled(make(ZEROED + 800), ZEROED + 800);
    for (size_t i = 0; i < USED_BEFORE; i++)
        end(before[i]);
    for (size_t round = 0; round < 20; round++) {
        char *block = grow(make(ZEROED), 2 * ZEROED);
        for (size_t i = 0; i < (size_t)2 * ZEROED; i++)
            CHECK(block[i] == 0);
        end(filled(block, (size_t)2 * ZEROED));
    }
}
#endif

#ifdef JEMALLOC
#include <jemalloc/jemalloc.h>

static char printed[1 << 16];
static size_t printed_length;

static void print(void *nothing, const char *text)
{
    (void)nothing;
    size_t length = strlen(text);
    if (printed_length + length < sizeof printed)
        memcpy(printed + printed_length, text, length);
    printed_length += length;
}

static void use(size_t i)
{
    size_t size = 1 + i * 13 % 900;
    char *block = filled(mallocx(size, 0), size);
    CHECK(sallocx(block, 0) >= size && nallocx(size, 0) >= size);
    volatile size_t too_much = SIZE_MAX / 16;
    CHECK(rallocx(block, too_much, 0) == NULL &&
          holds(block, size)); /* it is the program's still */
    block = rallocx(block, size * 4, 0);
    CHECK(holds(block, size));
    CHECK(xallocx(block, size, 0, 0) >= size);
    CHECK(xallocx(block, size * 100000, 0, 0) < size * 100000);
    CHECK(holds(block, size));
    sdallocx(block, sallocx(block, 0), 0);
    block = mallocx(size, MALLOCX_ALIGN(256) | MALLOCX_ZERO);
    CHECK((uintptr_t)block % 256 == 0 && block[0] == 0 && block[size - 1] == 0);
    dallocx(block, 0);
    block = filled(malloc(size), size);
    CHECK(sallocx(block, 0) >= size && malloc_usable_size(block) >= size);
    block = rallocx(block, size + 1000, 0);
    CHECK(holds(block, size));
    sdallocx(block, size + 1000, 0);
    free(filled(mallocx(size, 0), nallocx(size, 0)));
    dallocx(malloc(size), 0);
    block = filled(mallocx(size, MALLOCX_TCACHE_NONE), size);
    free(realloc(block, size * 2));
}

static char *make_zeroed(size_t size)
{
    return mallocx(size, MALLOCX_ZERO);
}
static char *grow_zeroed(char *block, size_t size)
{
    return rallocx(block, size, MALLOCX_ZERO);
}
static void end_zeroed(void *block)
{
    dallocx(block, 0);
}

static void rest(void)
{
    check_zeroed(make_zeroed, grow_zeroed, end_zeroed);
    uint64_t epoch = 1;
    size_t allocated = 0, length = sizeof allocated, epoch_length = sizeof epoch;
    CHECK(mallctl("epoch", &epoch, &epoch_length, &epoch, sizeof epoch) == 0);
    CHECK(mallctl("stats.allocated", &allocated, &length, NULL, 0) == 0 && allocated > 0);
    malloc_stats_print(print, NULL, "J");
    CHECK(strstr(printed, "\"jemalloc\"") != NULL);
    ssize_t decay = 0;
    length = sizeof decay;
    CHECK(mallctl("opt.dirty_decay_ms", &decay, &length, NULL, 0) == 0);
    unsigned arena = 0; /* whose end takes its blocks with it, those that were freed, too */
    length = sizeof arena;
    CHECK(mallctl("arenas.create", &arena, &length, NULL, 0) == 0);
    for (size_t i = 0; i < 500; i++) {
        char *block = filled(mallocx(5000, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE), 5000);
        if (i % 2 == 0)
            dallocx(block, MALLOCX_TCACHE_NONE);
    }
    char control[64];
    snprintf(control, sizeof control, "arena.%u.reset", arena);
    CHECK(mallctl(control, NULL, NULL, NULL, 0) == 0);
    for (size_t i = 0; i < 5000; i++)
        free(malloc(5000));
    bool prof = false;
    length = sizeof prof;
    if (mallctl("opt.prof", &prof, &length, NULL, 0) == 0 && prof) {
        const char *file = "/tmp/outlive-profile";
        char name[64];
        snprintf(name, sizeof name, "%s.%d", file, (int)getpid());
        file = name;
        CHECK(mallctl("prof.dump", NULL, NULL, &file, sizeof file) == 0);
        FILE *profile = fopen(name, "r");
        CHECK(profile != NULL && fgets(printed, sizeof printed, profile) != NULL);
        CHECK(strncmp(printed, "heap_v2/", 8) == 0);
        fclose(profile);
        remove(name);
    }
    printf("decay %zd, profile %d\n", decay, prof);
}
#elif defined TCMALLOC
#include <gperftools/malloc_extension_c.h>
#include <gperftools/tcmalloc.h>

static void use(size_t i)
{
    size_t size = 1 + i * 13 % 900;
    char *block = filled(tc_malloc(size), size);
    CHECK(tc_malloc_size(block) >= size);
    volatile size_t too_much = SIZE_MAX / 16;
    CHECK(tc_realloc(block, too_much) == NULL &&
          holds(block, size)); /* it is the program's still */
    block = tc_realloc(block, size * 5);
    CHECK(holds(block, size));
    tc_free_sized(block, size * 5);
    block = filled(malloc(size), size);
    CHECK(tc_malloc_size(block) >= size);
    tc_free(tc_realloc(block, size / 2 + 1));
    tc_free(tc_calloc(size, 3));
    free(tc_malloc(size));
    tc_cfree(tc_memalign(64, size));
    tc_free(tc_valloc(size));
    block = NULL;
    CHECK(tc_posix_memalign((void **)&block, 512, size) == 0 && (uintptr_t)block % 512 == 0);
    free(block);
    free(tc_malloc_skip_new_handler(size));
}

static void rest(void)
{
    size_t value = 0;
    CHECK(MallocExtension_GetNumericProperty("generic.current_allocated_bytes", &value) == 1);
    CHECK(value > 0);
    static char statistics[10000];
    MallocExtension_GetStats(statistics, sizeof statistics);
    CHECK(strstr(statistics, "MALLOC:") != NULL);
    CHECK(MallocExtension_VerifyAllMemory() == 1);
    MallocExtension_ReleaseFreeMemory();
}
#elif defined MIMALLOC
#include <mimalloc.h>

static void use(size_t i)
{
    size_t size = 1 + i * 13 % 900;
    mi_heap_t *heap = mi_heap_new();
    char *block = filled(mi_heap_malloc(heap, size), size);
    block = mi_heap_realloc(heap, block, size * 3);
    CHECK(holds(block, size));
    mi_free(block);
    (void)filled(mi_heap_malloc(heap, size), size);
    mi_heap_destroy(heap); /* with a block in it */
    heap = mi_heap_new();
    block = filled(mi_heap_malloc(heap, size), size);
    mi_heap_delete(heap); /* its block lives on */
    CHECK(holds(block, size) && mi_usable_size(block) >= size);
    mi_free_size(block, size);
    block = filled(mi_malloc(size), size);
    CHECK(mi_usable_size(block) >= size && mi_good_size(size) >= size);
    block = mi_realloc(block, size * 2);
    CHECK(holds(block, size));
    block = mi_rezalloc(block, size * 4);
    CHECK(holds(block, size));
    block = mi_reallocf(block, size);
    CHECK(holds(block, size));
    (void)mi_expand(block, size * 50);
    mi_free(block);
    block = mi_zalloc_aligned(size, 128);
    CHECK((uintptr_t)block % 128 == 0 && block[size - 1] == 0);
    block = mi_realloc_aligned(filled(block, size), size * 2, 128);
    CHECK((uintptr_t)block % 128 == 0 && holds(block, size));
    mi_free_aligned(block, 128);
    block = mi_calloc(size, 2);
    CHECK(block[size] == 0);
    mi_free(block);
    mi_free(mi_new(size));
    mi_free(mi_strdup("text"));
#ifdef SHARED_HEAP
    free(mi_malloc(size));
    mi_free(realloc(mi_malloc(size), size * 2));
    block = filled(malloc(size), size);
    CHECK(mi_usable_size(block) >= size);
    mi_free(mi_realloc(block, size * 3));
#else
    block = filled(malloc(size), size); /* glibc's beside it */
    block = realloc(block, size * 2);
    CHECK(holds(block, size));
    free(block);
#endif
}

static char *make_zeroed(size_t size)
{
    return mi_calloc(1, size);
}
static char *grow_zeroed(char *block, size_t size)
{
    return mi_rezalloc(block, size);
}

static void rest(void)
{
    check_zeroed(make_zeroed, grow_zeroed, mi_free);
    mi_collect(true);
    CHECK(mi_version() > 0);
    CHECK(mi_option_get(mi_option_verbose) == 0);
    size_t elapsed, user, system, resident, peak, committed, peak_committed, faults;
    mi_process_info(&elapsed, &user, &system, &resident, &peak, &committed, &peak_committed,
                    &faults);
}
#endif

int main(void)
{
    for (size_t i = 0; i < 3000; i++)
        use(i);
    rest();
    puts("fine");
    return 0;
}
