/* A home-made allocator, as programs link them in: a header in front of each block, free lists by
 * size, one lock, and no malloc_usable_size. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct header {
    size_t size;    /* of the block behind it, without headers */
    uint32_t magic; /* catches what is not a block of this heap */
    uint32_t back;  /* bytes from the block to the start of its piece */
};
_Static_assert(sizeof(struct header) == 16, "blocks are 16-aligned");

#define MAGIC UINT32_C(0x486f6d65)
#define CHUNK ((size_t)1 << 20)
#define CLASSES 32

struct piece {
    struct piece *next;
};

/* For home_new.cpp. */
void *home_allocate(size_t size, size_t alignment);
void home_release(void *block);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct piece *pieces[CLASSES]; /* free ones of 32 << class bytes */
static char *chunk;
static size_t left;
static volatile size_t live;

static unsigned class_of(size_t bytes)
{
    unsigned number = 0;
    while (((size_t)32 << number) < bytes)
        number++;
    return number;
}

static char *take_piece(unsigned number)
{
    size_t bytes = (size_t)32 << number;
    struct piece *piece = pieces[number];
    if (piece != NULL) {
        pieces[number] = piece->next;
        return (char *)piece;
    }
    if (bytes > left) {
        size_t size = bytes > CHUNK ? bytes : CHUNK;
        void *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED)
            return NULL;
        chunk = fresh;
        left = size;
    }
    char *taken = chunk;
    chunk += bytes;
    left -= bytes;
    return taken;
}

void *home_allocate(size_t size, size_t alignment)
{
    if (size > PTRDIFF_MAX / 2 || alignment > CHUNK) {
        errno = ENOMEM;
        return NULL;
    }
    unsigned number = class_of(size + sizeof(struct header) + (alignment > 16 ? alignment : 0));
    pthread_mutex_lock(&lock);
    char *piece = take_piece(number);
    live += piece != NULL;
    pthread_mutex_unlock(&lock);
    if (piece == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t block = ((uintptr_t)piece + sizeof(struct header) + alignment - 1) & -alignment;
    ((struct header *)block)[-1] =
        (struct header){size, MAGIC + number, (uint32_t)(block - (uintptr_t)piece)};
    return (void *)block;
}

void home_release(void *block)
{
    struct header *header = (struct header *)block - 1;
    unsigned number = header->magic - MAGIC;
    if (number >= CLASSES)
        abort();
    header->magic = 0;
    struct piece *piece = (struct piece *)((char *)block - header->back);
    pthread_mutex_lock(&lock);
    piece->next = pieces[number];
    pieces[number] = piece;
    live--;
    pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void start(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

void *malloc(size_t size)
{
    return home_allocate(size, 16);
}

void free(void *block)
{
    if (block != NULL)
        home_release(block);
}

void *calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = home_allocate(total, 16);
    return block == NULL ? NULL : memset(block, 0, total);
}

void *realloc(void *block, size_t size)
{
    if (block == NULL)
        return home_allocate(size, 16);
    struct header *header = (struct header *)block - 1;
    if (header->magic - MAGIC >= CLASSES)
        abort();
    void *fresh = home_allocate(size, 16);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, block, header->size < size ? header->size : size);
    home_release(block);
    return fresh;
}

void *memalign(size_t alignment, size_t size)
{
    return home_allocate(size, alignment < 16 ? 16 : alignment);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *result = block;
    return 0;
}
