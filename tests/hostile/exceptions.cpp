// Exceptions through hooks: bad_alloc out of operator new, unwinding by pthread_exit and by
// cancellation through the shim's frames, exceptions that cross threads.
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

int destroyed;

struct Counted {
    std::string text = std::string(100, 'x');
    ~Counted()
    {
        __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
    }
};

void *leave(void *)
{
    Counted counted;
    pthread_exit(nullptr);
}

void *wait(void *)
{
    Counted counted;
    for (;;)
        pause();
}

void *catch_own(void *)
{
    try {
        Counted counted;
        throw std::runtime_error(std::string(200, 'e'));
    } catch (const std::exception &) {
        return new Counted;
    }
}

} // namespace

int main()
{
    int caught = 0;
    for (int i = 0; i < 50; i++) {
        try {
            std::vector<char> large(static_cast<size_t>(1) << 60);
            std::printf("%zu\n", large.size());
        } catch (const std::bad_alloc &) {
            caught++;
        }
        pthread_t thread;
        void *result = nullptr;
        pthread_create(&thread, nullptr, leave, nullptr);
        pthread_join(thread, nullptr);
        pthread_create(&thread, nullptr, wait, nullptr);
        pthread_cancel(thread);
        pthread_join(thread, nullptr);
        pthread_create(&thread, nullptr, catch_own, nullptr);
        pthread_join(thread, &result);
        delete static_cast<Counted *>(result);
        auto later = std::async(std::launch::async, [] {
            Counted counted;
            throw std::logic_error("later");
        });
        try {
            later.get();
        } catch (const std::logic_error &) {
            caught++;
        }
        std::once_flag once;
        try {
            std::call_once(once, [] { throw 3; });
        } catch (int) {
            caught++;
        }
    }
    // A thread that is cancelled before it runs makes nothing: only the others are exact.
    std::printf("caught %d, destroyed %s\n", caught, destroyed >= 200 ? "enough" : "too few");
    return 0;
}
