// A library for plugins.cpp: a class with destructors, a constructor of the library that destroys
// objects already, and a thread of its own.
#include <cstdlib>
#include <mutex>
#include <pthread.h>

static volatile long sink;

struct Part {
    long number = 5;
    __attribute__((noinline, noclone)) ~Part()
    {
        sink = sink + *const_cast<volatile long *>(&number);
    }
};

struct Plugin {
    Part part;
    std::mutex lock;
    virtual ~Plugin();
};
__attribute__((noinline, noclone)) Plugin::~Plugin()
{
    std::lock_guard<std::mutex> hold(lock);
}

static void *work(void *)
{
    for (int i = 0; i < 20; i++)
        delete new Plugin;
    return nullptr;
}

static pthread_t worker;
__attribute__((constructor)) static void start()
{
    pthread_create(&worker, nullptr, work, nullptr);
    work(nullptr);
}
__attribute__((destructor)) static void stop()
{
    pthread_join(worker, nullptr);
}

extern "C" long use(int bug)
{
    work(nullptr);
    auto *part = new Part;
    delete part;
    if (bug)
        part->~Part();
    return 7;
}
