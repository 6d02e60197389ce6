// Legal things that look like lifetime bugs. Both ways must be silent.
// EXPECT silent
#include "case.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <queue>
#include <string>
#include <thread>
#include <vector>

// A destructor that joins its own worker.
class Worker
{
    std::atomic<bool> stop{false};
    volatile long count = 0;
    std::thread thread;

  public:
    Worker()
        : thread([this] {
              while (!stop)
                  count = count + 1;
          })
    {
    }
    ~Worker()
    {
        stop = true;
        thread.join();
    }
};

struct Padded {
    char letter;
    long number;
};

static unsigned long hash_bytes(const void *bytes, size_t size)
{
    unsigned long hash = 5381;
    for (size_t i = 0; i < size; i++)
        hash = hash * 33 + static_cast<const unsigned char *>(bytes)[i];
    return hash;
}

static void hand_over()
{
    auto shared = std::make_shared<std::vector<int>>(100, 1);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([shared] { case_sink = (uintptr_t)(*shared)[5]; });
    shared.reset();
    for (auto &thread : threads)
        thread.join();
}

// An object freed by another thread than its maker, and a pool whose tasks are freed by workers.
static void pool()
{
    std::queue<std::function<void()> *> tasks;
    std::mutex lock;
    std::condition_variable ready;
    bool done = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (;;) {
                std::unique_lock<std::mutex> hold(lock);
                ready.wait(hold, [&] { return done || !tasks.empty(); });
                if (tasks.empty())
                    return;
                auto *task = tasks.front();
                tasks.pop();
                hold.unlock();
                (*task)();
                delete task;
            }
        });
    for (int i = 0; i < 5000; i++) {
        std::lock_guard<std::mutex> hold(lock);
        tasks.push(
            new std::function<void()>([text = std::string(100, 'x')] { case_sink = text.size(); }));
        ready.notify_one();
    }
    {
        std::lock_guard<std::mutex> hold(lock);
        done = true;
    }
    ready.notify_all();
    for (auto &thread : threads)
        thread.join();
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    for (int i = 0; i < 20; i++)
        Worker worker;
    {
        auto worker = std::make_unique<Worker>();
    }
    auto padded = std::make_unique<Padded>();
    auto *raw = new Padded;
    raw->letter = 'a';
    raw->number = 5;
    case_sink = hash_bytes(raw, sizeof *raw); // padding is read as data
    delete raw;
    std::optional<std::string> optional;
    for (int i = 0; i < 3; i++)
        optional.emplace(200, 'y');
    hand_over();
    pool();
    for (int i = 1; i < 300; i++) { // reading a little past the end, as vector code does
        auto *text = static_cast<char *>(malloc((size_t)i));
        memset(text, 'z', (size_t)i - 1);
        text[i - 1] = 0;
        case_sink = strlen(text) + strcspn(text, "q");
        volatile char *end = text + i;
        if (((uintptr_t)end ^ (uintptr_t)(end + 60)) < 4096) // within the page, as it does
            case_sink += (uintptr_t)end[60];
        text = static_cast<char *>(realloc(text, (size_t)i * 3));
        free(text);
    }
    struct Opaque;
    auto *again = new std::vector<std::string>(50, std::string(40, 'v'));
    again->resize(500);
    again->shrink_to_fit();
    delete again;
    auto *array = new std::string[20];
    array[3] = std::string(100, 'w');
    delete[] array;
    struct alignas(256) Wide {
        char bytes[512];
    };
    auto *wide = new Wide;
    if ((uintptr_t)wide % 256 != 0)
        return 4;
    delete wide;
    delete[] new (std::nothrow) std::string[3];
    delete new (std::nothrow) Wide;
    volatile size_t impossible = SIZE_MAX / 2; // allocation failures reach the program as ever
    printf("%d", new (std::nothrow) char[impossible] != nullptr); // not all allocators refuse it
    try {
        case_sink = (uintptr_t)::operator new(impossible);
        printf(" given\n");
    } catch (const std::bad_alloc &) {
        printf(" refused\n");
    }
    void *aligned = nullptr;
    if (posix_memalign(&aligned, 1024, 5000) != 0 || (uintptr_t)aligned % 1024 != 0)
        return 5;
    free(aligned);
    return 0;
}
