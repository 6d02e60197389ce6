// What a program does with its heap, on any allocator: every block holds what was put into it, is
// as large and as aligned as was asked for, and may be ended on any side. Says "fine", or what is
// not.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <memory>
#include <new>
#include <pthread.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
void *crossing_make(size_t size);
void crossing_end(void *block);
void *crossing_grow(void *block, size_t size);
}

static void check_at(bool right, int line)
{
    if (right)
        return;
    printf("wrong at line %d\n", line);
    fflush(stdout);
    _exit(3);
}
#define CHECK(right) check_at(right, __LINE__)

static unsigned char mark(size_t at, size_t seed)
{
    return static_cast<unsigned char>(at * 7 + seed);
}

static void *fill(void *block, size_t size, size_t seed)
{
    for (size_t i = 0; i < size; i++)
        static_cast<unsigned char *>(block)[i] = mark(i, seed);
    return block;
}

static bool holds(const void *block, size_t size, size_t seed)
{
    for (size_t i = 0; i < size; i++)
        if (static_cast<const unsigned char *>(block)[i] != mark(i, seed))
            return false;
    return true;
}

// From before any constructor, and so from before the shim's start.
static void *early[4];

static void make_early(int, char **, char **)
{
    for (size_t i = 0; i < 4; i++)
        early[i] = fill(malloc(100 + i), 100 + i, i);
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **,
                                                                            char **) = make_early;

static void use_early()
{
    CHECK(holds(early[0], 100, 0) && holds(early[1], 101, 1) && holds(early[2], 102, 2));
    void *grown = realloc(early[0], 5000);
    CHECK(holds(grown, 100, 0));
    free(grown);
    void *shrunk = realloc(early[1], 10);
    CHECK(holds(shrunk, 10, 1));
    free(shrunk);
    crossing_end(early[2]);
    free(early[3]);
}

static void resize(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) { // guarded first, busy then
        size_t size = 1 + i * 37 % 3000;
        void *block = fill(malloc(size), size, i);
        CHECK(size < 16 || reinterpret_cast<uintptr_t>(block) % 16 == 0); // jemalloc's way
#ifndef NO_USABLE_SIZE
        CHECK(malloc_usable_size(block) >= size);
#endif
        block = realloc(block, size * 3 + 1);
        CHECK(holds(block, size, i));
        fill(block, size * 3 + 1, i + 1);
        block = realloc(block, size / 2 + 1);
        CHECK(holds(block, size / 2 + 1, i + 1));
        block = crossing_grow(block, size + 100);
        CHECK(holds(block, size / 2 + 1, i + 1));
        free(block);
    }
    void *block = nullptr;
    for (size_t size = 1; size < 4000000; size += size / 3 + 1) {
        block = realloc(block, size);
        static_cast<char *>(block)[size - 1] = 'e';
    }
    free(block);
    volatile size_t impossible = SIZE_MAX / 2;
    block = fill(malloc(50), 50, 9);
    CHECK(realloc(block, impossible) == nullptr && holds(block, 50, 9));
    free(block);
    CHECK(calloc(impossible, 4) == nullptr);
    free(realloc(nullptr, 20));
}

static void align(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        auto *zero = static_cast<unsigned char *>(calloc(i + 1, 13));
        for (size_t at = 0; at < (i + 1) * 13; at++)
            CHECK(zero[at] == 0);
        free(memset(zero, 1, (i + 1) * 13));
        void *aligned = nullptr;
        size_t alignment = static_cast<size_t>(32) << i % 6;
        CHECK(posix_memalign(&aligned, alignment, 100) == 0);
        CHECK(reinterpret_cast<uintptr_t>(aligned) % alignment == 0);
        fill(aligned, 100, i);
        aligned = realloc(aligned, 300);
        CHECK(holds(aligned, 100, i));
        free(aligned);
        aligned = aligned_alloc(alignment, alignment * 3);
        CHECK(reinterpret_cast<uintptr_t>(aligned) % alignment == 0);
        crossing_end(aligned);
    }
}

struct Odd {
    char bytes[37];
};
struct alignas(64) Wide {
    char bytes[128];
};
struct Base {
    virtual ~Base() = default;
    long number = 5;
};
struct Derived : Base {
    std::string text = std::string(50, 'd');
};

static void operators(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        delete static_cast<Odd *>(fill(new Odd, sizeof(Odd), i));
        delete[] static_cast<Odd *>(fill(new Odd[i % 9 + 1], sizeof(Odd) * (i % 9 + 1), i));
        delete new (std::nothrow) Odd;
        auto *wide = new Wide;
        CHECK(reinterpret_cast<uintptr_t>(wide) % alignof(Wide) == 0);
        delete wide;
        delete[] new Wide[3];
        std::unique_ptr<Base> base(new Derived);
        CHECK(base->number == 5);
        delete static_cast<Odd *>(::operator new(sizeof(Odd)));
        ::operator delete[](::operator new[](100));
        ::operator delete(::operator new(256, std::align_val_t(128)), std::align_val_t(128));
    }
    std::map<int, std::string> map;
    for (int i = 0; i < 300; i++)
        map[i] = std::string(static_cast<size_t>(i), 'm');
    CHECK(map[200].size() == 200);
    delete static_cast<char *>(nullptr);
}

static void cross(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        char *copy = strdup("text that libc copies");
        CHECK(strcmp(copy, "text that libc copies") == 0);
        free(copy);
        char *line = nullptr;
        CHECK(asprintf(&line, "%zu and %s", i, "more") > 0);
        line = static_cast<char *>(realloc(line, 500));
        CHECK(strstr(line, "more") != nullptr);
        free(line);
        void *made = crossing_make(70);
        CHECK(static_cast<char *>(made)[69] == 'c');
        free(realloc(made, 700));
        crossing_end(malloc(60));
    }
    FILE *file = tmpfile();
    CHECK(file != nullptr && fputs("one line\nand another, longer than the first\n", file) >= 0);
    rewind(file);
    char *line = nullptr;
    size_t room = 0;
    while (getline(&line, &room, file) > 0)
        CHECK(room >= strlen(line));
    free(line);
    fclose(file);
}

static void everything(size_t rounds)
{
    resize(rounds);
    align(rounds);
    operators(rounds);
    cross(rounds);
}

static void *hand[8][50];

static void threads()
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, 8);
    std::vector<std::thread> all;
    for (size_t number = 0; number < 8; number++)
        all.emplace_back([&barrier, number] {
            everything(40);
            for (size_t i = 0; i < 50; i++)
                hand[number][i] = fill(malloc(64 + i), 64 + i, i);
            pthread_barrier_wait(&barrier);
            for (size_t i = 0; i < 50; i++) { // another thread's
                CHECK(holds(hand[(number + 1) % 8][i], 64 + i, i));
                free(hand[(number + 1) % 8][i]);
            }
        });
    for (auto &thread : all)
        thread.join();
    pthread_barrier_destroy(&barrier);
}

static void forks()
{
    void *before = fill(malloc(80), 80, 1);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            everything(20);
            free(realloc(before, 1000));
            if (i % 2 == 0)
                _exit(0);
            exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    free(before);
}

static std::string *late = new std::string(100, 'l');

int main()
{
    use_early();
    everything(200);
    threads();
    fflush(stdout);
    forks();
    atexit([] {
        delete late;
        everything(5);
    });
    puts("fine");
    return 0;
}
